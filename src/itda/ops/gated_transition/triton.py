"""The gated transition by Triton kernels.

Forward only. Up to `MOST_FUSED` channels one kernel does it all: a program norms a few vectors and
goes through the hidden channels a tile at a time, so that no hidden vector is ever written. Wider
vectors do not fit beside the sums of a program; for them the norm is one kernel, the projections
are PyTorch's, a stretch of vectors at a time, and the gate is one more kernel.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from itda.ops.jit import is_interpreted, rounded
from itda.ops.layer_norm.triton import layer_norm, norm_block
from itda.ops.tiles import check, on_device, tile_of, width_of

MOST_FUSED = 256
"""The most channels, padded to a power of two, of the kernel that does it all."""

HIDDEN_AT_ONCE = 1 << 26
"""Numbers that the projection up of wider vectors may write at once."""


def gated_transition(
    x: Float[Tensor, "*shape channel"],
    norm_weight: Float[Tensor, "channel"] | None,
    norm_bias: Float[Tensor, "channel"] | None,
    up: Float[Tensor, "two_hidden channel"],
    down: Float[Tensor, "channel hidden"],
    epsilon: float,
) -> Float[Tensor, "*shape channel"]:
    """Take the one kernel where it fits, else three steps.

    Raises:
        CapabilityError: See `tiles.check`.
    """
    given = [tensor for tensor in (x, up, down, norm_weight, norm_bias) if tensor is not None]
    check("gated_transition", *given, interpreted=is_interpreted(_transition))
    up, down = up.to(x.dtype), down.to(x.dtype)
    vectors = x.reshape(-1, x.shape[-1])
    out = vectors.new_empty(vectors.shape)
    if out.numel():
        run = _fused if width_of(x.shape[-1]) <= MOST_FUSED else _in_steps
        with on_device(x):
            run(vectors, norm_weight, norm_bias, up, down, epsilon, out)
    return out.view(x.shape)


def silu_gate(both: Float[Tensor, "vector two_hidden"]) -> Float[Tensor, "vector hidden"]:
    """Multiply silu of the first half of the channels with the second half.

    Args:
        both: Gate, then value, side by side in memory.
    """
    vectors, hidden = len(both), both.shape[1] // 2
    out = both.new_empty(vectors, hidden)
    tile = tile_of("silu_gate", width=1, size=both.element_size())
    with on_device(both):
        _gate[(triton.cdiv(out.numel(), tile["values"]),)](
            both,
            out,
            vectors,
            hidden,
            both.stride(0),
            tile_values=tile["values"],
            widen=is_interpreted(_gate) and both.dtype == torch.bfloat16,
            num_warps=tile["warps"],
            num_stages=tile["stages"],
        )
    return out


def _fused(
    vectors: Tensor,
    norm_weight: Tensor | None,
    norm_bias: Tensor | None,
    up: Tensor,
    down: Tensor,
    epsilon: float,
    out: Tensor,
) -> None:
    channels, hidden = down.shape
    width = width_of(channels)
    tile = tile_of("gated_transition", width=width, size=vectors.element_size())
    _transition[(triton.cdiv(len(vectors), tile["rows"]),)](
        vectors,
        vectors if norm_weight is None else norm_weight,
        vectors if norm_bias is None else norm_bias,
        up,
        down,
        out,
        len(vectors),
        hidden,
        *vectors.stride(),
        0 if norm_weight is None else norm_weight.stride(0),
        0 if norm_bias is None else norm_bias.stride(0),
        *up.stride(),
        *down.stride(),
        epsilon,
        channels=channels,
        width=width,
        tile_rows=tile["rows"],
        tile_hidden=tile["hidden"],
        has_weight=norm_weight is not None,
        has_bias=norm_bias is not None,
        widen=is_interpreted(_transition) and vectors.dtype == torch.bfloat16,
        num_warps=tile["warps"],
        num_stages=tile["stages"],
    )


def _in_steps(
    vectors: Tensor,
    norm_weight: Tensor | None,
    norm_bias: Tensor | None,
    up: Tensor,
    down: Tensor,
    epsilon: float,
    out: Tensor,
) -> None:
    at_once = max(1, HIDDEN_AT_ONCE // len(up))
    for part, written in zip(vectors.split(at_once), out.split(at_once), strict=True):
        both = functional.linear(layer_norm(part, norm_weight, norm_bias, epsilon), up)
        torch.mm(silu_gate(both), down.t(), out=written)


@triton.jit
def _transition(
    x,
    norm_weight,
    norm_bias,
    up,
    down,
    out,
    rows,
    hidden,
    row_stride,
    channel_stride,
    weight_stride,
    bias_stride,
    up_hidden,
    up_channel,
    down_channel,
    down_hidden,
    epsilon,
    channels: tl.constexpr,
    width: tl.constexpr,
    tile_rows: tl.constexpr,
    tile_hidden: tl.constexpr,
    has_weight: tl.constexpr,
    has_bias: tl.constexpr,
    widen: tl.constexpr,
):
    at_row = tl.program_id(0).to(tl.int64) * tile_rows + tl.arange(0, tile_rows)
    at_channel = tl.arange(0, width)
    in_channel = at_channel < channels
    inside = (at_row < rows)[:, None] & in_channel[None, :]
    block = tl.load(
        x + at_row[:, None] * row_stride + at_channel[None, :] * channel_stride,
        mask=inside,
        other=0.0,
    ).to(tl.float32)
    normed = norm_block(
        block,
        norm_weight,
        norm_bias,
        weight_stride,
        bias_stride,
        epsilon,
        channels,
        width,
        has_weight,
        has_bias,
    )
    normed = rounded(normed, x.dtype.element_ty, widen)
    update = tl.zeros((tile_rows, width), tl.float32)
    for start in range(0, hidden, tile_hidden):
        at_hidden = start + tl.arange(0, tile_hidden)
        in_hidden = at_hidden < hidden
        offset = at_hidden[None, :] * up_hidden + at_channel[:, None] * up_channel
        inside_up = in_hidden[None, :] & in_channel[:, None]
        gate_weight = tl.load(up + offset, mask=inside_up, other=0.0)
        value_weight = tl.load(up + hidden * up_hidden + offset, mask=inside_up, other=0.0)
        gate = tl.dot(
            normed, rounded(gate_weight, x.dtype.element_ty, widen), input_precision="ieee"
        )
        value = tl.dot(
            normed, rounded(value_weight, x.dtype.element_ty, widen), input_precision="ieee"
        )
        gated = rounded(gate * tl.sigmoid(gate) * value, x.dtype.element_ty, widen)
        down_weight = tl.load(
            down + at_hidden[:, None] * down_hidden + at_channel[None, :] * down_channel,
            mask=in_hidden[:, None] & in_channel[None, :],
            other=0.0,
        )
        down_weight = rounded(down_weight, x.dtype.element_ty, widen)
        update = tl.dot(gated, down_weight, update, input_precision="ieee")
    tl.store(
        out + at_row[:, None] * channels + at_channel[None, :],
        rounded(update, out.dtype.element_ty, widen).to(out.dtype.element_ty),
        mask=inside,
    )


@triton.jit
def _gate(both, out, vectors, hidden, row_stride, tile_values: tl.constexpr, widen: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * tile_values + tl.arange(0, tile_values)
    row = at // hidden
    inside = row < vectors
    source = both + row * row_stride + at % hidden
    gate = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    value = tl.load(source + hidden, mask=inside, other=0.0).to(tl.float32)
    gated = rounded(gate * tl.sigmoid(gate) * value, out.dtype.element_ty, widen)
    tl.store(out + at, gated.to(out.dtype.element_ty), mask=inside)
