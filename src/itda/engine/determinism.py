"""The same bits from run to run, where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Let PyTorch take operations that give the same bits each time, at some cost in speed.

    On a CPU one thread is used, so that sums do not depend on the number of cores either. An
    operation that has no such form is an error.
    """
    if not wanted:
        yield
        return
    # Read by cuBLAS when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.set_num_threads(before[1])
