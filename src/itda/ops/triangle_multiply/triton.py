"""The triangle product by a Triton kernel that reads and writes channels last.

Forward only. A program multiplies a few channels' tiles at once, so that what lies side by side in
memory is read together and no tensor is transposed. Strides are honoured: inputs with channels
first are read as they are, too, though there `matmul` has plain matrices already. Sums are float32;
float32 inputs are multiplied without tf32.

cuEquivariance has no backend for this op: its `triangle_multiplicative_update` spans the norms,
gates and projections around the product, which here belong to the layer that calls the op.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from itda.ops.jit import index_of, is_interpreted, rounded
from itda.ops.tiles import check, on_device, tile_of


def triangle_multiply(
    left: Float[Tensor, "batch row col channel"],
    right: Float[Tensor, "batch row col channel"],
    outgoing: bool,
) -> Float[Tensor, "batch row col channel"]:
    """Sum over the third corner; `incoming` is the same sum with rows and columns exchanged.

    Raises:
        CapabilityError: See `tiles.check`.
    """
    interpreted = is_interpreted(_multiply)
    check("triangle_multiply", left, right, interpreted=interpreted)
    if not outgoing:
        left, right = left.transpose(1, 2), right.transpose(1, 2)
    right = right.to(left.dtype)
    batch, rows, inner, channels = left.shape
    columns = right.shape[1]
    out = _empty(left, batch, rows, columns, channels)
    if not out.numel():
        return out
    tile = tile_of("triangle_multiply", width=1, size=left.element_size())
    programs = (
        triton.cdiv(channels, tile["channels"])
        * triton.cdiv(columns, tile["columns"])
        * triton.cdiv(rows, tile["rows"])
        * batch
    )
    strides = (*left.stride(), *right.stride(), *out.stride())
    with on_device(left):
        _multiply[(programs,)](
            left,
            right,
            out,
            rows,
            columns,
            inner,
            channels,
            *strides,
            tile_rows=tile["rows"],
            tile_columns=tile["columns"],
            tile_inner=tile["inner"],
            tile_channels=tile["channels"],
            index=index_of(*strides),
            widen=interpreted and left.dtype == torch.bfloat16,
            num_warps=tile["warps"],
            num_stages=tile["stages"],
        )
    return out


def _empty(left: Tensor, batch: int, rows: int, columns: int, channels: int) -> Tensor:
    """Lay the output out as the input is: channels last, or first where they are first."""
    if channels == 1 or left.stride(3) == 1:
        return left.new_empty(batch, rows, columns, channels)
    return left.new_empty(batch, channels, rows, columns).permute(0, 2, 3, 1)


@triton.jit
def _multiply(
    left,
    right,
    out,
    rows,
    columns,
    inner,
    channels,
    left_batch,
    left_row,
    left_inner,
    left_channel,
    right_batch,
    right_column,
    right_inner,
    right_channel,
    out_batch,
    out_row,
    out_column,
    out_channel,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_inner: tl.constexpr,
    tile_channels: tl.constexpr,
    index: tl.constexpr,
    widen: tl.constexpr,
):
    # Groups of channels of one tile follow one another, since they share lines of the cache.
    groups = tl.cdiv(channels, tile_channels)
    across = tl.cdiv(columns, tile_columns)
    down = tl.cdiv(rows, tile_rows)
    program = tl.program_id(0)
    first_channel = program % groups * tile_channels
    first_column = program // groups % across * tile_columns
    first_row = program // (groups * across) % down * tile_rows
    batch = (program // (groups * across) // down).to(tl.int64)

    # What is far is reached by a pointer, in 64 bits; offsets within a tile take fewer registers.
    left += batch * left_batch
    left += first_row.to(tl.int64) * left_row + first_channel.to(tl.int64) * left_channel
    right += batch * right_batch
    right += first_column.to(tl.int64) * right_column + first_channel.to(tl.int64) * right_channel
    out += batch * out_batch + first_channel.to(tl.int64) * out_channel
    out += first_row.to(tl.int64) * out_row + first_column.to(tl.int64) * out_column
    step = tl.full((), tile_inner, tl.int64)

    at_channel = tl.arange(0, tile_channels).to(index)[:, None, None]
    in_channel = (first_channel + tl.arange(0, tile_channels) < channels)[:, None, None]
    at_row = tl.arange(0, tile_rows).to(index)[None, :, None]
    in_row = (first_row + tl.arange(0, tile_rows) < rows)[None, :, None]
    at_column = tl.arange(0, tile_columns).to(index)[None, None, :]
    in_column = (first_column + tl.arange(0, tile_columns) < columns)[None, None, :]
    at_inner = tl.arange(0, tile_inner).to(index)

    product = tl.zeros((tile_channels, tile_rows, tile_columns), tl.float32)
    for start in range(0, inner, tile_inner):
        in_inner = start + tl.arange(0, tile_inner) < inner
        a = tl.load(
            left
            + (
                at_channel * left_channel + at_row * left_row + at_inner[None, None, :] * left_inner
            ),
            mask=in_channel & in_row & in_inner[None, None, :],
            other=0.0,
        )
        b = tl.load(
            right
            + (
                at_channel * right_channel
                + at_column * right_column
                + at_inner[None, :, None] * right_inner
            ),
            mask=in_channel & in_inner[None, :, None] & in_column,
            other=0.0,
        )
        a = rounded(a, out.dtype.element_ty, widen)
        b = rounded(b, out.dtype.element_ty, widen)
        product = tl.dot(a, b, product, input_precision="ieee")
        left += step * left_inner
        right += step * right_inner

    tl.store(
        out + (at_channel * out_channel + at_row * out_row + at_column * out_column),
        rounded(product, out.dtype.element_ty, widen).to(out.dtype.element_ty),
        mask=in_channel & in_row & in_column,
    )
