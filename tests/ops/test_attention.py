import pytest
import torch

from itda.ops import routing
from itda.ops.attention import attention

SIZES = [(1, 1, 1, 8), (2, 3, 17, 8), (1, 4, 65, 16), (3, 2, 31, 5)]


def inputs(batch, heads, length, channels, dtype=torch.float32, bias=True):
    generator = torch.Generator().manual_seed(length)
    shape = (batch, heads, length, channels)
    query, key, value = (torch.randn(shape, generator=generator).to(dtype) for _ in range(3))
    added = torch.randn(batch, heads, length, length, generator=generator) if bias else None
    mask = torch.rand(batch, length, generator=generator) > 0.3
    mask[:, 0] = True
    return {"query": query, "key": key, "value": value, "bias": added, "key_mask": mask}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bias", [True, False])
def test_fused_equals_reference(size, bias):
    given = inputs(*size, bias=bias)
    torch.testing.assert_close(
        attention(**given, backend="sdpa"),
        attention(**given, backend="reference"),
        atol=2e-6,
        rtol=2e-5,
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_fused_is_near_reference_in_half_precision(dtype):
    given = inputs(2, 3, 33, 16, dtype=dtype)
    exact = attention(**{**given, **{k: given[k].float() for k in ("query", "key", "value")}})
    got = attention(**given, backend="sdpa")
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), exact, atol=0.03, rtol=0.03)


def test_reference_equals_the_sum_written_out():
    given = inputs(1, 1, 4, 3)
    got = attention(**given, backend="reference")[0, 0]
    query, key, value = (given[name][0, 0] for name in ("query", "key", "value"))
    for row in range(4):
        scores = [
            (query[row] @ key[column]) / 3**0.5 + given["bias"][0, 0, row, column]
            for column in range(4)
        ]
        weights = [
            score.exp() if given["key_mask"][0, column] else torch.tensor(0.0)
            for column, score in enumerate(scores)
        ]
        expected = sum(w * value[column] for column, w in enumerate(weights)) / sum(weights)
        torch.testing.assert_close(got[row], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_masked_keys_change_nothing(backend):
    given = inputs(2, 2, 9, 8)
    given["key_mask"][:, 5:] = False
    before = attention(**given, backend=backend)
    given["key"][:, :, 5:] = 1e4
    given["value"][:, :, 5:] = -1e4
    torch.testing.assert_close(attention(**given, backend=backend), before)


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_no_key_at_all_gives_zero(backend):
    given = inputs(2, 2, 5, 8)
    given["key_mask"][1] = False
    got = attention(**given, backend=backend)
    assert (got[1] == 0).all()
    assert got.isfinite().all()


def test_sabotage_is_seen():
    given = inputs(1, 2, 17, 8)
    reference = attention(**given, backend="reference")
    for change in ("bias", "key_mask", "query"):
        broken = dict(given)
        broken[change] = ~given[change] if change == "key_mask" else given[change] * 1.01
        difference = (attention(**broken, backend="sdpa") - reference).abs().max()
        assert difference > 1e-4, change


def test_small_heads_take_the_reference():
    assert routing.choose("attention", channels=4).backend == "reference"
    assert routing.choose("attention", channels=32).backend == "sdpa"
