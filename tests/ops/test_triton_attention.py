"""The Triton kernel behind attention and triangle attention, and every other backend beside it."""

from functools import cache

import pytest
import torch
import triton.language as tl

from itda.errors import CapabilityError
from itda.ops.attention import attention
from itda.ops.attention import triton as kernels
from itda.ops.jit import index_of
from itda.ops.triangle_attention import triangle_attention
from tests.ops.ladder import DEVICE, DTYPES, FARTHEST, LADDER, distance, masks

ROWS, HEADS, CHANNELS = 3, 1, 24


@cache
def triangle_case(tokens, dtype):
    """Three rows: whole, with holes, masked; a head size that is no power of two."""
    generator = torch.Generator().manual_seed(tokens)
    shape = (1, ROWS, tokens, HEADS, CHANNELS)
    query, key, value = (torch.randn(shape, generator=generator).to(dtype) for _ in range(3))
    bias = torch.randn(1, HEADS, tokens, tokens, generator=generator)
    # So that the last key, which a tile's end could lose, is seen among hundreds.
    value[:, :, -1] *= 20
    return {
        "query": query,
        "key": key,
        "value": value,
        "bias": bias,
        "mask": masks(ROWS, tokens, generator),
    }


@cache
def triangle_result(backend, tokens, dtype):
    given = {name: tensor.to(DEVICE) for name, tensor in triangle_case(tokens, dtype).items()}
    return triangle_attention(**given, backend=backend).cpu()


def exact_triangle(given):
    given = {name: t if t.dtype == torch.bool else t.float() for name, t in given.items()}
    return triangle_attention(**given, backend="reference")


@pytest.mark.parametrize("backend", ["reference", "sdpa", "triton"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", LADDER)
def test_triangle_attention_is_the_reference(tokens, dtype, backend):
    given = triangle_case(tokens, dtype)
    got = triangle_result(backend, tokens, dtype)
    assert got.dtype == dtype
    assert distance(got, exact_triangle(given)) < FARTHEST[dtype]
    assert (got[:, 2] == 0).all()


@pytest.mark.parametrize("backend", ["sdpa", "triton"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", LADDER)
def test_triangle_attention_sabotaged_is_seen(tokens, dtype, backend):
    given = triangle_case(tokens, dtype)
    got = triangle_result(backend, tokens, dtype)
    mask, query, value = (given[name].clone() for name in ("mask", "query", "value"))
    mask[:, 0, -1] = False
    query[..., 0] *= 1.5
    value[..., -1] *= 1.1
    changes = {
        "last key": {"mask": mask},
        "masked row": {"mask": torch.ones_like(mask)},
        "query": {"query": query},
        "rows exchanged": {"key": given["key"].flip(1)},
        "value": {"value": value},
        "bias": {"bias": given["bias"] * 1.2},
        "bias transposed": {"bias": given["bias"].mT},
        "bias moved": {"bias": given["bias"].roll(1, -1)},
    }
    for change, broken in changes.items():
        assert distance(got, exact_triangle({**given, **broken})) > FARTHEST[dtype], change


def single_case(tokens, dtype, *, bias=True, batch=2, heads=2, channels=16, values=None):
    generator = torch.Generator().manual_seed(tokens)

    def draw(width):
        return torch.randn(batch, heads, tokens, width, generator=generator).to(dtype)

    mask = torch.rand(batch, tokens, generator=generator) > 0.3
    mask[0, -1] = True
    mask[1:] = False
    added = torch.randn(1, heads, tokens, tokens, generator=generator) if bias else None
    return {
        "query": draw(channels),
        "key": draw(channels),
        "value": draw(values or channels),
        "bias": added,
        "key_mask": mask,
    }


def run_single(backend, given):
    moved = {name: None if t is None else t.to(DEVICE) for name, t in given.items()}
    return attention(**moved, backend=backend).cpu()


def exact_single(given):
    floats = {
        name: t if t is None or t.dtype == torch.bool else t.float() for name, t in given.items()
    }
    return attention(**floats, backend="reference")


@pytest.mark.parametrize("backend", ["reference", "sdpa", "triton"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", LADDER)
def test_attention_is_the_reference_and_its_twins_are_not(tokens, dtype, backend):
    given = single_case(tokens, dtype, heads=1)
    got = run_single(backend, given)
    assert got.dtype == dtype
    assert distance(got, exact_single(given)) < FARTHEST[dtype]
    assert (got[1] == 0).all()
    for change in ("query", "key", "value", "bias", "key_mask"):
        broken = dict(given)
        broken[change] = ~given[change] if change == "key_mask" else given[change] * 1.3
        assert distance(got, exact_single(broken)) > FARTHEST[dtype], change


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("channels", "values"), [(5, 5), (16, 40), (48, 8), (72, 72), (130, 130)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_heads_of_any_size(dtype, channels, values, bias):
    given = single_case(37, dtype, channels=channels, values=values, bias=bias)
    assert distance(run_single("triton", given), exact_single(given)) < FARTHEST[dtype]


def test_more_keys_than_queries():
    given = single_case(70, torch.float32)
    given["query"], given["bias"] = given["query"][:, :, :33], given["bias"][:, :, :33]
    assert distance(run_single("triton", given), exact_single(given)) < 1e-5


def test_views_need_no_copies():
    tokens = 33
    generator = torch.Generator().manual_seed(0)
    # As a layer makes them: three parts of one projection, of a pair that is transposed.
    joint = torch.randn(1, tokens, 4, 3 * 2 * 8, generator=generator).transpose(1, 2)
    query, key, value = (part.unflatten(-1, (2, 8)) for part in joint.chunk(3, dim=-1))
    bias = torch.randn(1, tokens, tokens, 2, generator=generator).permute(0, 3, 1, 2)
    mask = masks(tokens, 4, generator).transpose(1, 2)
    assert not query.is_contiguous()
    given = {"query": query, "key": key, "value": value, "bias": bias, "mask": mask}
    got = triangle_attention(**{n: t.to(DEVICE) for n, t in given.items()}, backend="triton")
    assert distance(got.cpu(), exact_triangle(given)) < 1e-5


def test_a_bias_of_minus_infinity_closes_a_pair():
    given = single_case(40, torch.float32)
    given["bias"][..., :35] = -torch.inf
    given["bias"][..., 3, :] = -torch.inf
    got = run_single("triton", given)
    open_rows = [row for row in range(40) if row != 3]
    assert distance(got[:, :, open_rows], exact_single(given)[:, :, open_rows]) < 1e-5
    assert (got[:, :, 3] == 0).all()


def test_large_scores_do_not_overflow():
    given = single_case(40, torch.float16)
    given["query"] *= 100
    given["bias"] *= 1e4
    assert distance(run_single("triton", given), exact_single(given)) < 2e-3


def test_offsets_in_64_bits(monkeypatch):
    given = single_case(70, torch.float32)
    monkeypatch.setattr(kernels, "index_of", lambda *strides: tl.int64)
    assert distance(run_single("triton", given), exact_single(given)) < 1e-5


def test_far_strides_take_64_bits():
    assert index_of(1, 128) == tl.int32
    assert index_of(1, 2**20) == tl.int64


def test_nothing_in_nothing_out():
    empty, bias = torch.empty(1, 0, 4, 2, 8), torch.empty(1, 2, 4, 4)
    mask = torch.empty(1, 0, 4, dtype=torch.bool)
    got = triangle_attention(empty, empty, empty, bias=bias, mask=mask, backend="triton")
    assert got.shape == empty.shape


def test_other_dtypes_are_refused():
    given = single_case(8, torch.float64)
    with pytest.raises(CapabilityError, match="float64"):
        attention(**given, backend="triton")


def test_a_mask_on_another_device_is_refused():
    given = single_case(8, torch.float32)
    given["key_mask"] = given["key_mask"].to("meta")
    with pytest.raises(CapabilityError, match="another on meta"):
        attention(**given, backend="triton")


def test_gradients_are_refused_by_name_and_routed_by_auto():
    given = single_case(8, torch.float32)
    given["query"].requires_grad_()
    with pytest.raises(CapabilityError, match="gradients"):
        attention(**given, backend="triton")
    attention(**given).sum().backward()
    assert given["query"].grad is not None
