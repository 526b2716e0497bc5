"""A laboratory's set of weights: its files, its converter, and a second process that uses it."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from itda.hub.convert import Converted, StateReader
from itda.hub.registry import WeightSet

ROOT = Path(__file__).parents[2]
MODEL, CONFIG = "model.bin", "config.json"


class DoublingConverter:
    """Doubles a tensor, so that a result shows that it went through."""

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.calls = 0

    def convert(
        self, states: Mapping[str, Mapping[str, Tensor]], documents: Mapping[str, Any]
    ) -> Converted:
        self.calls += 1
        reader = StateReader(states[MODEL], source=MODEL)
        tensors = {"second": reader.take("b"), "first": reader.take("a") * 2 * self.version}
        reader.skip("unused.*", "a head of training")
        return Converted(tensors, documents[CONFIG], reader.finish())


def start_worker(steps: str, weight_set: WeightSet) -> subprocess.Popen[str]:
    """Start `tests.hub.worker`; the environment of the test is its environment."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.hub.worker", steps, weight_set.model_dump_json()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def model_bytes(values: int = 1000) -> bytes:
    buffer = io.BytesIO()
    state = {
        "a": torch.arange(values, dtype=torch.float32),
        "b": torch.ones(3, 5, dtype=torch.bfloat16),
        "unused.head": torch.zeros(2),
    }
    torch.save(state, buffer)
    return buffer.getvalue()
