import pytest
import torch

from itda.ops.triangle_attention import triangle_attention

SIZES = [(1, 1, 1, 1, 8), (1, 7, 7, 4, 32), (2, 5, 19, 3, 8), (1, 9, 65, 2, 16), (1, 3, 128, 4, 32)]


def inputs(batch, rows, columns, heads, channels, *, holes=True, dtype=torch.float32):
    generator = torch.Generator().manual_seed(columns)
    shape = (batch, rows, columns, heads, channels)
    query, key, value = (torch.randn(shape, generator=generator).to(dtype) for _ in range(3))
    bias = torch.randn(batch, heads, columns, columns, generator=generator)
    mask = torch.ones(batch, rows, columns, dtype=torch.bool)
    if holes:
        mask = torch.rand(batch, rows, columns, generator=generator) > 0.3
    return {"query": query, "key": key, "value": value, "bias": bias, "mask": mask}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("holes", [False, True])
def test_fused_equals_reference(size, holes):
    given = inputs(*size, holes=holes)
    torch.testing.assert_close(
        triangle_attention(**given, backend="sdpa"),
        triangle_attention(**given, backend="reference"),
        atol=3e-6,
        rtol=3e-5,
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_fused_is_near_reference_in_half_precision(dtype):
    given = inputs(1, 5, 33, 4, 16, dtype=dtype)
    exact = triangle_attention(**given, backend="reference")
    got = triangle_attention(**given, backend="sdpa")
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), exact.float(), atol=0.03, rtol=0.03)


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_one_entry_equals_the_sum_written_out(backend):
    given = inputs(1, 3, 6, 2, 8)
    row, column, head = 2, 4, 1
    query, key, value = (given[name][0, row, :, head] for name in ("query", "key", "value"))
    scores = key @ query[column] / 8**0.5 + given["bias"][0, head, column]
    scores[~given["mask"][0, row]] = -torch.inf
    expected = torch.softmax(scores, 0) @ value
    got = triangle_attention(**given, backend=backend)[0, row, column, head]
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "sdpa"])
def test_a_row_without_keys_gives_zero(backend):
    given = inputs(1, 4, 5, 2, 8)
    given["mask"][0, 2] = False
    got = triangle_attention(**given, backend=backend)
    assert (got[0, 2] == 0).all()
    assert got.isfinite().all()


@pytest.mark.parametrize("change", ["bias transposed", "mask inverted", "rows swapped", "weight"])
def test_sabotage_is_seen(change):
    given = inputs(1, 6, 17, 2, 8)
    exact = triangle_attention(**given, backend="reference")
    match change:
        case "bias transposed":
            given["bias"] = given["bias"].transpose(-1, -2)
        case "mask inverted":
            given["mask"] = ~given["mask"]
        case "rows swapped":
            given["key"] = given["key"][:, [1, 0, *range(2, 6)]]
        case _:
            given["query"][..., 0] *= 1.01
    broken = triangle_attention(**given, backend="sdpa")
    assert (broken - exact).abs().max() > 1e-4
