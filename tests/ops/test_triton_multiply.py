"""The Triton kernel of the triangle product, and the other backends beside it."""

from functools import cache

import pytest
import torch
import triton.language as tl

from itda.errors import CapabilityError
from itda.ops.triangle_multiply import triangle_multiply
from itda.ops.triangle_multiply import triton as kernels
from tests.ops.ladder import DEVICE, DTYPES, FARTHEST, LADDER, distance

ROWS = 33
"""Of the left factor: the whole of it would take the interpreter minutes."""


def edges(rows, tokens, channels, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(1, rows, tokens, channels, generator=generator)
    # As a layer gives them: 0 where an edge does not exist. The last token, which the end of a tile
    # could lose, weighs enough to be seen among hundreds.
    drawn *= torch.rand(1, rows, tokens, 1, generator=generator) > 0.3
    drawn[:, :, -1] = 3.0
    return drawn.to(dtype)


@cache
def case(tokens, dtype):
    rows = min(ROWS, tokens)
    return edges(rows, tokens, 5, dtype, tokens), edges(tokens, tokens, 5, dtype, tokens + 1)


def run(backend, left, right, outgoing):
    """Rows of `left` and `right` meet: as they are, or as columns where edges come in."""
    if not outgoing:
        left, right = left.transpose(1, 2), right.transpose(1, 2)
    left, right = left.to(DEVICE), right.to(DEVICE)
    return triangle_multiply(left, right, outgoing=outgoing, backend=backend).cpu()


@cache
def result(backend, tokens, dtype):
    return run(backend, *case(tokens, dtype), True)


def exact(left, right):
    return triangle_multiply(left.float(), right.float(), outgoing=True, backend="reference")


@pytest.mark.parametrize("backend", ["reference", "matmul", "triton"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", LADDER)
def test_triangle_product_is_the_reference(tokens, dtype, backend):
    got = result(backend, tokens, dtype)
    assert got.dtype == (torch.float32 if backend == "reference" else dtype)
    assert distance(got, exact(*case(tokens, dtype))) < FARTHEST[dtype]


@pytest.mark.parametrize("backend", ["matmul", "triton"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", LADDER)
def test_triangle_product_sabotaged_is_seen(tokens, dtype, backend):
    left, right = case(tokens, dtype)
    got = result(backend, tokens, dtype)
    shorter, masked = left.clone(), right.clone()
    shorter[:, :, -1] = 0
    masked[:, tokens // 2] = 0
    for change, broken in {
        "last token": (shorter, right),
        "masked": (left, masked),
        "weight": (left * 1.05, right),
        "channels exchanged": (left, right.flip(-1)),
        "moved": (left.roll(1, 2), right),
        "transposed": (left, right.transpose(1, 2)),
    }.items():
        assert distance(got, exact(*broken)) > FARTHEST[dtype], change


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", [7, 64, 127])
def test_edges_that_come_in(tokens, dtype):
    left, right = case(tokens, dtype)
    got = run("triton", left, right, False)
    assert distance(got, exact(left, right)) < FARTHEST[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 20, 33])
def test_any_number_of_channels_and_items(channels, dtype):
    left, right = (
        torch.cat([edges(19, 19, channels, dtype, seed + item) for item in range(2)])
        for seed in (0, 2)
    )
    for outgoing in (True, False):
        got = triangle_multiply(
            left.to(DEVICE), right.to(DEVICE), outgoing=outgoing, backend="triton"
        )
        reference = triangle_multiply(
            left.float(), right.float(), outgoing=outgoing, backend="reference"
        )
        assert distance(got.cpu(), reference) < FARTHEST[dtype]


def test_channels_last_are_read_and_written_without_a_copy(monkeypatch):
    # As a layer makes them: two halves of one projection.
    left, right = torch.randn(1, 20, 20, 16, device=DEVICE).chunk(2, dim=-1)
    assert not left.is_contiguous()
    monkeypatch.setattr(torch.Tensor, "contiguous", lambda self: pytest.fail("copied"))
    got = triangle_multiply(left, right, outgoing=True, backend="triton")
    assert got.stride() == (20 * 20 * 8, 20 * 8, 8, 1)


def test_channels_first_stay_first():
    left, right = (torch.randn(1, 6, 20, 20).permute(0, 2, 3, 1) for _ in range(2))
    got = triangle_multiply(left.to(DEVICE), right.to(DEVICE), outgoing=True, backend="triton")
    assert got.permute(0, 3, 1, 2).is_contiguous()
    assert distance(got.cpu(), exact(left, right)) < 1e-5


def test_offsets_in_64_bits(monkeypatch):
    left, right = case(64, torch.float32)
    monkeypatch.setattr(kernels, "index_of", lambda *strides: tl.int64)
    assert distance(run("triton", left, right, True), exact(left, right)) < 1e-5


def test_gradients_are_refused_by_name_and_routed_by_auto():
    left, right = (edges(5, 5, 3, torch.float32, 0).requires_grad_() for _ in range(2))
    with pytest.raises(CapabilityError, match="gradients"):
        triangle_multiply(left, right, outgoing=True, backend="triton")
    triangle_multiply(left, right, outgoing=True).sum().backward()
    assert left.grad is not None
