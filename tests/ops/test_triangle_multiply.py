import pytest
import torch

from itda.ops.triangle_multiply import triangle_multiply


def inputs(batch, length, channels, dtype=torch.float32):
    generator = torch.Generator().manual_seed(length)
    shape = (batch, length, length, channels)
    return tuple(torch.randn(shape, generator=generator).to(dtype) for _ in range(2))


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 7, 3), (1, 33, 16), (3, 20, 5)])
@pytest.mark.parametrize("outgoing", [True, False])
def test_matmul_equals_reference(size, outgoing):
    left, right = inputs(*size)
    torch.testing.assert_close(
        triangle_multiply(left, right, outgoing=outgoing, backend="matmul"),
        triangle_multiply(left, right, outgoing=outgoing, backend="reference"),
        atol=1e-4,
        rtol=1e-5,
    )


@pytest.mark.parametrize("outgoing", [True, False])
def test_half_precision_is_near(outgoing):
    left, right = inputs(2, 19, 8, torch.bfloat16)
    exact = triangle_multiply(left.float(), right.float(), outgoing=outgoing, backend="reference")
    got = triangle_multiply(left, right, outgoing=outgoing)
    torch.testing.assert_close(got.float(), exact, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("backend", ["reference", "matmul"])
def test_edges_meet_as_the_paper_says(backend):
    left, right = inputs(1, 4, 2)
    out = triangle_multiply(left, right, outgoing=True, backend=backend)
    into = triangle_multiply(left, right, outgoing=False, backend=backend)
    i, j, c = 1, 3, 0
    expected_out = sum(left[0, i, k, c] * right[0, j, k, c] for k in range(4))
    expected_in = sum(left[0, k, i, c] * right[0, k, j, c] for k in range(4))
    torch.testing.assert_close(out[0, i, j, c], expected_out)
    torch.testing.assert_close(into[0, i, j, c], expected_in)


def test_sabotage_is_seen():
    left, right = inputs(1, 9, 4)
    reference = triangle_multiply(left, right, outgoing=True, backend="reference")
    exchanged = triangle_multiply(right, left, outgoing=True, backend="matmul")
    other_way = triangle_multiply(left, right, outgoing=False, backend="matmul")
    assert (exchanged - reference).abs().max() > 0.1
    assert (other_way - reference).abs().max() > 0.1
