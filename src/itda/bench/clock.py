"""Seconds and peak memory of a call, on a processor or a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from itda.bench.memory import PeakMeter


def measured(call: Callable[[], object], device: str) -> dict[str, Any]:
    """Run a call once.

    Returns:
        `seconds` (of the processor, or between events on the GPU) and `bytes`, the peak above what
        was in use before.
    """
    if device == "cpu":
        meter = PeakMeter()
        began = time.process_time()
        result = call()
        seconds = time.process_time() - began
        growth = meter.growth_bytes()
        del result
        return {"seconds": seconds, "bytes": growth}
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    result = call()
    end.record()
    torch.cuda.synchronize()
    growth = torch.cuda.max_memory_allocated() - before
    del result
    return {"seconds": start.elapsed_time(end) / 1e3, "bytes": growth}


def device_peaks(device: str, dtype: torch.dtype) -> dict[str, float]:
    """Measure what the device reaches at best: `flops` of a matrix product, `bytes` of a copy.

    Both a second, best of several.
    """
    size = 4096 if device != "cpu" else 1536
    first, second = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    source = torch.empty(2**26 if device == "cpu" else 2**28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def best(call: Callable[[], object]) -> float:
        return min(float(measured(call, device)["seconds"]) for _ in range(6))

    return {
        "flops": 2 * size**3 / best(lambda: first @ second),
        "bytes": 2 * source.numel() / best(lambda: target.copy_(source)),
    }
