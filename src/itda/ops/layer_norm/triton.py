"""Layer norm by a Triton kernel that reads each vector once.

Forward only. Vectors stay in registers between the two moments; sums are float32. Views whose axes
before the channels cannot be merged (a transposed pair) are copied first.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from itda.ops.jit import is_interpreted, rounded
from itda.ops.tiles import check, on_device, tile_of, width_of


def layer_norm(
    x: Float[Tensor, "*shape channel"],
    weight: Float[Tensor, "channel"] | None,
    bias: Float[Tensor, "channel"] | None,
    epsilon: float,
) -> Float[Tensor, "*shape channel"]:
    """Give a few vectors to each program.

    Raises:
        CapabilityError: See `tiles.check`.
    """
    given = [tensor for tensor in (x, weight, bias) if tensor is not None]
    interpreted = is_interpreted(_norm)
    check("layer_norm", *given, interpreted=interpreted)
    channels = x.shape[-1]
    out = x.new_empty(x.shape)
    if not out.numel():
        return out
    vectors = x.reshape(-1, channels)
    width = width_of(channels)
    tile = tile_of("layer_norm", width=width, size=x.element_size())
    with on_device(x):
        _norm[(triton.cdiv(len(vectors), tile["rows"]),)](
            vectors,
            x if weight is None else weight,
            x if bias is None else bias,
            out,
            len(vectors),
            vectors.stride(0),
            vectors.stride(1),
            0 if weight is None else weight.stride(0),
            0 if bias is None else bias.stride(0),
            epsilon,
            channels=channels,
            width=width,
            tile_rows=tile["rows"],
            has_weight=weight is not None,
            has_bias=bias is not None,
            widen=interpreted and x.dtype == torch.bfloat16,
            num_warps=tile["warps"],
            num_stages=tile["stages"],
        )
    return out


@triton.jit
def norm_block(
    x,
    weight,
    bias,
    weight_stride,
    bias_stride,
    epsilon,
    channels: tl.constexpr,
    width: tl.constexpr,
    has_weight: tl.constexpr,
    has_bias: tl.constexpr,
):
    """Norm a block of vectors in float32; channels beyond `channels` have to be 0 and stay so."""
    at_channel = tl.arange(0, width)
    in_channel = at_channel < channels
    mean = tl.sum(x, 1) / channels
    centred = tl.where(in_channel[None, :], x - mean[:, None], 0.0)
    variance = tl.sum(centred * centred, 1) / channels
    normed = centred / tl.sqrt(variance + epsilon)[:, None]
    if has_weight:
        scale = tl.load(weight + at_channel * weight_stride, mask=in_channel, other=0.0)
        normed = normed * scale.to(tl.float32)[None, :]
    if has_bias:
        shift = tl.load(bias + at_channel * bias_stride, mask=in_channel, other=0.0)
        normed = normed + shift.to(tl.float32)[None, :]
    return normed


@triton.jit
def _norm(
    x,
    weight,
    bias,
    out,
    rows,
    row_stride,
    channel_stride,
    weight_stride,
    bias_stride,
    epsilon,
    channels: tl.constexpr,
    width: tl.constexpr,
    tile_rows: tl.constexpr,
    has_weight: tl.constexpr,
    has_bias: tl.constexpr,
    widen: tl.constexpr,
):
    at_row = tl.program_id(0).to(tl.int64) * tile_rows + tl.arange(0, tile_rows)
    at_channel = tl.arange(0, width).to(tl.int64)
    inside = (at_row < rows)[:, None] & (at_channel < channels)[None, :]
    block = tl.load(
        x + at_row[:, None] * row_stride + at_channel[None, :] * channel_stride,
        mask=inside,
        other=0.0,
    ).to(tl.float32)
    normed = norm_block(
        block,
        weight,
        bias,
        weight_stride,
        bias_stride,
        epsilon,
        channels,
        width,
        has_weight,
        has_bias,
    )
    tl.store(
        out + at_row[:, None] * channels + at_channel[None, :],
        rounded(normed, out.dtype.element_ty, widen).to(out.dtype.element_ty),
        mask=inside,
    )
