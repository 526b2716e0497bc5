"""A module of the documented signature stands in for NVIDIA's package, which needs a GPU."""

import sys
from types import ModuleType

import pytest
import torch

from itda.errors import DependencyError
from itda.ops.triangle_attention import triangle_attention
from tests.ops.ladder import DTYPES, FARTHEST, LADDER, distance, masks


def documented(q, k, v, bias, mask=None, scale=None, return_aux=False):
    """What the documentation says of `cuequivariance_torch.triangle_attention`."""
    batch, rows, heads, queries, channels = q.shape
    keys = k.shape[3]
    assert k.shape == v.shape == (batch, rows, heads, keys, channels)
    assert bias.shape == (batch, 1, heads, queries, keys)
    assert mask.shape == (batch, rows, 1, 1, keys)
    assert not return_aux
    scores = scale * q.float() @ k.float().mT + bias.float()
    weights = torch.softmax(torch.where(mask.bool(), scores, -1e9), dim=-1)
    return (weights @ v.float()).to(q.dtype)


@pytest.fixture
def package(monkeypatch):
    module = ModuleType("cuequivariance_torch")
    module.triangle_attention = documented
    monkeypatch.setitem(sys.modules, "cuequivariance_torch", module)
    return module


def case(tokens, dtype):
    generator = torch.Generator().manual_seed(tokens)
    shape = (1, 3, tokens, 2, 8)
    query, key, value = (torch.randn(shape, generator=generator).to(dtype) for _ in range(3))
    bias = torch.randn(1, 2, tokens, tokens, generator=generator)
    mask = masks(3, tokens, generator)
    return {"query": query, "key": key, "value": value, "bias": bias, "mask": mask}


def exact(given):
    floats = {name: t if t.dtype == torch.bool else t.float() for name, t in given.items()}
    return triangle_attention(**floats, backend="reference")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", LADDER)
def test_it_is_the_reference_and_its_twins_are_not(package, tokens, dtype):
    given = case(tokens, dtype)
    got = triangle_attention(**given, backend="cuequivariance")
    assert got.dtype == dtype
    assert distance(got, exact(given)) < FARTHEST[dtype]
    assert (got[:, 2] == 0).all()
    for change in given:
        tensor = given[change]
        broken = ~tensor if change == "mask" else tensor * 1.3
        assert distance(got, exact({**given, change: broken})) > FARTHEST[dtype], change


def test_it_gives_gradients(package):
    given = case(7, torch.float32)
    given["value"].requires_grad_()
    triangle_attention(**given, backend="cuequivariance").sum().backward()
    assert given["value"].grad.abs().sum() > 0


def test_without_the_package_it_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuequivariance_torch", None)
    with pytest.raises(DependencyError, match="cuequivariance_torch") as error:
        triangle_attention(**case(7, torch.float32), backend="cuequivariance")
    assert "pip install cuequivariance-torch" in error.value.hint


def test_without_its_kernels_it_is_refused_by_name(package):
    def absent(*given, **named):
        raise ImportError("Error importing triangle_attention from cuequivariance_ops_torch.")

    package.triangle_attention = absent
    with pytest.raises(DependencyError, match="cuequivariance_ops_torch"):
        triangle_attention(**case(7, torch.float32), backend="cuequivariance")
