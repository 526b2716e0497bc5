"""A second process for tests: `worker STEPS SET_JSON`, where STEPS are joined with `+`."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from itda.hub import convert
from itda.hub.convert import Converted
from itda.hub.installed import ensure
from itda.hub.pull import pull
from itda.hub.registry import WeightSet
from tests.hub.laboratory import DoublingConverter


class SlowConverter(DoublingConverter):
    """Says that it has begun, and takes its time."""

    def convert(
        self, states: Mapping[str, Mapping[str, Tensor]], documents: Mapping[str, Any]
    ) -> Converted:
        print("converting", flush=True)
        time.sleep(0.5)
        return super().convert(states, documents)


def hang_while_writing() -> None:
    """Stop for ever when half of the converted file is written."""
    whole = convert._bytes

    def half(tensor: Tensor) -> memoryview:
        print("writing", flush=True)
        if tensor.dtype == torch.bfloat16:
            time.sleep(600)
        return whole(tensor)

    convert._bytes = half


def main() -> None:
    steps, described = sys.argv[1:]
    torch.set_num_threads(1)
    weight_set = WeightSet.model_validate_json(described)
    converter = DoublingConverter()
    for step in steps.split("+"):
        if step == "little-room":
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        elif step == "hang":
            hang_while_writing()
        elif step == "slowly":
            converter = SlowConverter()
        elif step == "pull":
            pull(weight_set)
        else:
            print(ensure(weight_set, converter), flush=True)


if __name__ == "__main__":
    main()
