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
def rounded(block, dtype: tl.constexpr, widen: tl.constexpr):
    """Round a block to a dtype, for `tl.dot` or to be stored.

    Triton's interpreter cuts bfloat16 off instead of rounding it, and `tl.dot` multiplies its bit
    patterns there, which upstream knows. So with `widen` the numbers are rounded to
    bfloat16, to nearest even as a GPU does, and stay float32.
    """
    if not widen:
        result = block.to(dtype)
    elif block.dtype == tl.bfloat16:
        result = block.to(tl.float32)
    else:
        bits = block.to(tl.float32).to(tl.uint32, bitcast=True)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        result = bits.to(tl.float32, bitcast=True)
    return result
