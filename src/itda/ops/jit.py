"""Pieces that Triton kernels share."""

from __future__ import annotations

import triton
import triton.language as tl

MOST_TILE = 1024
"""No side of a tile is longer."""


def is_interpreted(kernel: object) -> bool:
    """Whether Triton's interpreter runs a kernel; it was decided when its module was imported."""
    return not isinstance(kernel, triton.runtime.jit.JITFunction)


def index_of(*strides: int) -> tl.dtype:
    """Choose the integers that offsets within a tile need.

    A tile's offset is a sum of at most three products of a stride and a place below `MOST_TILE`.
    """
    return tl.int32 if 3 * MOST_TILE * max(strides, default=0) < 2**31 else tl.int64


@triton.jit
def operand(block, dtype: tl.constexpr, widen: tl.constexpr):
    """Round a block to a dtype for `tl.dot`.

    Triton's interpreter multiplies the bit patterns of bfloat16 (triton-lang/triton issue 11584),
    so there the rounded numbers are widened again.
    """
    rounded = block.to(dtype)
    return rounded.to(tl.float32) if widen else rounded
