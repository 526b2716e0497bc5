"""What a device is called and which half precision it has, so that constants are found again."""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from itda.machine import usable_cores
from itda.models.demand import DeviceKind, Precision

_CPUINFO = Path("/proc/cpuinfo")
_FAST_HALF = {"avx512_bf16", "amx_tile"}


@dataclass(frozen=True)
class Device:
    """A device as its constants are stored under.

    Attributes:
        kind: Of device.
        name: As its maker calls it.
        threads: That compute one thing together on a processor; 1 on others.
        cores: Things that are computed side by side; 1 on others.
        half: Number format that is fast beside float32; None where there is none.
    """

    kind: DeviceKind
    name: str
    threads: int
    cores: int
    half: Precision | None

    @property
    def shown(self) -> str:
        """Its name, with threads where they matter."""
        if self.kind != "cpu":
            return self.name
        threads, cores = (
            f"{count} {word}{'s' if count > 1 else ''}"
            for count, word in ((self.threads, "thread"), (self.cores, "core"))
        )
        return f"{self.name}, {threads}" + (f", {cores}" if self.cores != self.threads else "")

    @property
    def slug(self) -> str:
        """Its name as a file may be called."""
        return re.sub(r"[^a-z0-9]+", "-", self.shown.lower()).strip("-")


def describe(device: str) -> Device:
    """Say what a device is.

    Args:
        device: `cpu`, `cuda:0` or `mps`; PyTorch is asked about all but the first.
    """
    if device == "cpu":
        return Device("cpu", processor_name(), thread_count(), usable_cores(), _processor_half())
    if device.startswith("cuda"):
        import torch

        half: Precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        return Device("cuda", torch.cuda.get_device_name(device), 1, 1, half)
    return Device("mps", f"Apple {platform.machine()}", 1, 1, "float16")


def thread_count() -> int:
    """Return the threads that PyTorch computes with, or will."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        return int(torch.get_num_threads())
    try:
        return max(1, int(os.environ["OMP_NUM_THREADS"]))
    except (KeyError, ValueError):
        return usable_cores()


@functools.cache
def processor_name() -> str:
    """Return the name of the processor."""
    return _field("model name") or platform.processor() or platform.machine() or "processor"


@functools.cache
def _processor_half() -> Precision | None:
    return "bfloat16" if _FAST_HALF & set(_field("flags").split()) else None


def _field(name: str) -> str:
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
