"""Attention by a Triton kernel that keeps no scores (FlashAttention-2, arXiv 2307.08691).

Forward only. Numbers are read as they come, multiplied in their own dtype (float32 without tf32)
and summed in float32. Sizes need not be multiples of a tile; heads of any size are padded inside
the kernel. Strides are honoured, so that views need no copies.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float
from torch import Tensor

from itda.ops.jit import index_of, is_interpreted, rounded
from itda.ops.tiles import check, on_device, tile_of, width_of

LOG2_E = 1.4426950408889634


def attention(
    query: Float[Tensor, "batch head row channel"],
    key: Float[Tensor, "batch head column channel"],
    value: Float[Tensor, "batch head column value"],
    bias: Float[Tensor, "#batch head row column"] | None,
    key_mask: Bool[Tensor, "batch column"],
) -> Float[Tensor, "batch head row value"]:
    """Treat each item of the batch as one row of queries with a bias of its own."""
    mixed = attend_rows(
        query.transpose(1, 2)[:, None],
        key.transpose(1, 2)[:, None],
        value.transpose(1, 2)[:, None],
        bias,
        key_mask[:, None],
        op="attention",
    )
    return mixed[:, 0].transpose(1, 2)


def attend_rows(
    query: Float[Tensor, "batch row query head channel"],
    key: Float[Tensor, "batch row key head channel"],
    value: Float[Tensor, "batch row key head value"],
    bias: Float[Tensor, "#batch head query key"] | None,
    mask: Bool[Tensor, "batch row key"],
    *,
    op: str,
) -> Float[Tensor, "batch row query head value"]:
    """Attention in each row, with one bias for all rows of an item.

    Args:
        query: Not yet scaled.
        key: Likewise.
        value: May have another channel count.
        bias: Added to the scaled scores; -inf closes a pair.
        mask: False keys take no part; a query without any gives 0.
        op: Whose tiles to take, and for messages.

    Raises:
        CapabilityError: See `tiles.check`.
    """
    interpreted = is_interpreted(_attend)
    given = (query, key, value, mask) if bias is None else (query, key, value, mask, bias)
    check(op, *given, interpreted=interpreted)
    key, kept = key.to(query.dtype), mask.view(torch.uint8)
    out = value.new_empty(*query.shape[:-1], value.shape[-1])
    if not out.numel():
        return out
    value = value.to(query.dtype)
    batch, rows, queries, heads, channels = query.shape
    widths = width_of(channels), width_of(value.shape[-1])
    tile = tile_of(op, width=max(widths), size=query.element_size())
    added = query if bias is None else bias.expand(batch, -1, -1, -1)
    added_strides = (0, 0, 0, 0) if bias is None else added.stride()
    strides = (
        *query.stride(),
        *key.stride(),
        *value.stride(),
        *added_strides,
        *kept.stride(),
        *out.stride(),
    )
    with on_device(query):
        _attend[(triton.cdiv(queries, tile["queries"]) * rows * heads * batch,)](
            query,
            key,
            value,
            added,
            kept,
            out,
            rows,
            heads,
            queries,
            key.shape[2],
            *strides,
            LOG2_E * channels**-0.5,
            channels=channels,
            value_channels=value.shape[-1],
            width=widths[0],
            value_width=widths[1],
            tile_queries=tile["queries"],
            tile_keys=tile["keys"],
            has_bias=bias is not None,
            index=index_of(*strides),
            widen=interpreted and query.dtype == torch.bfloat16,
            num_warps=tile["warps"],
            num_stages=tile["stages"],
        )
    return out


@triton.jit
def _attend(
    query,
    key,
    value,
    bias,
    mask,
    out,
    rows,
    heads,
    queries,
    keys,
    query_batch,
    query_row,
    query_token,
    query_head,
    query_channel,
    key_batch,
    key_row,
    key_token,
    key_head,
    key_channel,
    value_batch,
    value_row,
    value_token,
    value_head,
    value_channel,
    bias_batch,
    bias_head,
    bias_query,
    bias_key,
    mask_batch,
    mask_row,
    mask_key,
    out_batch,
    out_row,
    out_token,
    out_head,
    out_channel,
    scale_log2,
    channels: tl.constexpr,
    value_channels: tl.constexpr,
    width: tl.constexpr,
    value_width: tl.constexpr,
    tile_queries: tl.constexpr,
    tile_keys: tl.constexpr,
    has_bias: tl.constexpr,
    index: tl.constexpr,
    widen: tl.constexpr,
):
    # Tiles of one row follow one another, since they read the same keys and values.
    tiles = tl.cdiv(queries, tile_queries)
    program = tl.program_id(0)
    first = program % tiles * tile_queries
    row = (program // tiles % rows).to(tl.int64)
    head = (program // (tiles * rows) % heads).to(tl.int64)
    batch = (program // (tiles * rows) // heads).to(tl.int64)

    query += batch * query_batch + row * query_row + head * query_head
    key += batch * key_batch + row * key_row + head * key_head
    value += batch * value_batch + row * value_row + head * value_head
    bias += batch * bias_batch + head * bias_head
    mask += batch * mask_batch + row * mask_row
    out += batch * out_batch + row * out_row + head * out_head

    # What is far is reached by a pointer, in 64 bits; offsets within a tile take fewer registers.
    far = first.to(tl.int64)
    query += far * query_token
    bias += far * bias_query
    out += far * out_token
    step = tl.full((), tile_keys, tl.int64)

    at_query = tl.arange(0, tile_queries).to(index)
    in_query = first + tl.arange(0, tile_queries) < queries
    at_key = tl.arange(0, tile_keys).to(index)
    at_channel = tl.arange(0, width).to(index)
    in_channel = at_channel < channels
    at_value = tl.arange(0, value_width).to(index)
    in_value = at_value < value_channels

    q = tl.load(
        query + at_query[:, None] * query_token + at_channel[None, :] * query_channel,
        mask=in_query[:, None] & in_channel[None, :],
        other=0.0,
    )
    q = rounded(q, query.dtype.element_ty, widen)
    top = tl.full((tile_queries,), float("-inf"), tl.float32)
    total = tl.zeros((tile_queries,), tl.float32)
    mixed = tl.zeros((tile_queries, value_width), tl.float32)

    for start in range(0, keys, tile_keys):
        in_key = start + tl.arange(0, tile_keys) < keys
        kept = tl.load(mask + at_key * mask_key, mask=in_key, other=0) != 0
        k = tl.load(
            key + at_key[None, :] * key_token + at_channel[:, None] * key_channel,
            mask=in_key[None, :] & in_channel[:, None],
            other=0.0,
        )
        k = rounded(k, query.dtype.element_ty, widen)
        scores = tl.dot(q, k, input_precision="ieee") * scale_log2
        if has_bias:
            added = tl.load(
                bias + at_query[:, None] * bias_query + at_key[None, :] * bias_key,
                mask=in_query[:, None] & in_key[None, :],
                other=0.0,
            )
            scores += added.to(tl.float32) * 1.4426950408889634
        scores = tl.where(kept[None, :], scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        # -inf less -inf is not a number: a query that has met no key yet is measured from 0.
        level = tl.where(higher == float("-inf"), 0.0, higher)
        weights = tl.exp2(scores - level[:, None])
        fade = tl.exp2(top - level)
        total = total * fade + tl.sum(weights, 1)
        v = tl.load(
            value + at_key[:, None] * value_token + at_value[None, :] * value_channel,
            mask=in_key[:, None] & in_value[None, :],
            other=0.0,
        )
        v = rounded(v, query.dtype.element_ty, widen)
        weights = rounded(weights, query.dtype.element_ty, widen)
        mixed = tl.dot(weights, v, mixed * fade[:, None], input_precision="ieee")
        top = higher
        key += step * key_token
        value += step * value_token
        bias += step * bias_key
        mask += step * mask_key

    mixed = mixed / tl.where(total == 0.0, 1.0, total)[:, None]
    tl.store(
        out + at_query[:, None] * out_token + at_value[None, :] * out_channel,
        rounded(mixed, out.dtype.element_ty, widen).to(out.dtype.element_ty),
        mask=in_query[:, None] & in_value[None, :],
    )
