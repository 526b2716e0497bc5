"""Layer norm and the gated transition: every backend beside the reference."""

from functools import cache

import pytest
import torch

from itda.errors import CapabilityError
from itda.ops.gated_transition import gated_transition
from itda.ops.gated_transition import triton as kernels
from itda.ops.layer_norm import layer_norm
from tests.ops.ladder import DEVICE, DTYPES, FARTHEST, LADDER, distance

CHANNELS = 24


@cache
def norm_case(tokens, dtype, channels=CHANNELS):
    generator = torch.Generator().manual_seed(tokens)
    x = torch.randn(1, tokens, channels, generator=generator) * 3 + 1
    # What a mask leaves: vectors of nothing, and one that is far from the others.
    x[:, ::5] = 0
    x[:, -1] += torch.linspace(0, 30, channels)
    weight, bias = (torch.randn(channels, generator=generator) for _ in range(2))
    return {"x": x.to(dtype), "weight": weight, "bias": bias}


@cache
def transition_case(tokens, dtype, channels=CHANNELS, hidden=40):
    generator = torch.Generator().manual_seed(tokens)
    given = norm_case(tokens, dtype, channels)
    up = torch.randn(2 * hidden, channels, generator=generator) * channels**-0.5
    down = torch.randn(channels, hidden, generator=generator) * hidden**-0.5
    return {
        "x": given["x"],
        "norm_weight": given["weight"],
        "norm_bias": given["bias"],
        "up": up.to(dtype),
        "down": down.to(dtype),
    }


OPS = {layer_norm: norm_case, gated_transition: transition_case}


def run(op, backend, given):
    moved = {name: None if t is None else t.to(DEVICE) for name, t in given.items()}
    with torch.no_grad():
        return op(**moved, backend=backend).cpu()


@cache
def result(op, backend, tokens, dtype):
    return run(op, backend, OPS[op](tokens, dtype))


def exact(op, given):
    floats = {name: None if t is None else t.float() for name, t in given.items()}
    return op(**floats, backend="reference")


@pytest.mark.parametrize("backend", ["reference", "torch", "triton"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", LADDER)
@pytest.mark.parametrize("op", OPS)
def test_backend_is_the_reference(op, tokens, dtype, backend):
    got = result(op, backend, tokens, dtype)
    assert got.dtype == dtype
    assert distance(got, exact(op, OPS[op](tokens, dtype))) < FARTHEST[dtype]


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tokens", LADDER)
@pytest.mark.parametrize("op", OPS)
def test_sabotage_is_seen(op, tokens, dtype, backend):
    given = OPS[op](tokens, dtype)
    got = result(op, backend, tokens, dtype)
    for change, tensor in given.items():
        # A norm takes no notice of a scale of what it norms.
        scaled = tensor * 1.1 if change != "x" else tensor + torch.linspace(0, 1, CHANNELS)
        for broken in (scaled, tensor.flip(-1)):
            assert distance(got, exact(op, {**given, change: broken})) > FARTHEST[dtype], change


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_the_gate_is_the_first_half(backend):
    given = transition_case(7, torch.float32)
    exchanged = {**given, "up": torch.cat(given["up"].chunk(2)[::-1])}
    assert (
        distance(run(gated_transition, backend, given), exact(gated_transition, exchanged)) > 0.01
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [2, 3, 128, 200, 833])
def test_norm_of_any_width(channels, dtype):
    given = norm_case(9, dtype, channels)
    for dropped in ((), ("weight",), ("bias",), ("weight", "bias")):
        left = {**given, **dict.fromkeys(dropped)}
        for backend in ("torch", "triton"):
            assert (
                distance(run(layer_norm, backend, left), exact(layer_norm, left))
                < (FARTHEST[dtype])
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("channels", "hidden"), [(2, 3), (5, 7), (128, 256), (200, 33), (256, 16), (300, 48)]
)
def test_transition_of_any_width(channels, hidden, dtype):
    given = transition_case(9, dtype, channels, hidden)
    for dropped in ((), ("norm_weight", "norm_bias")):
        left = {**given, **dict.fromkeys(dropped)}
        for backend in ("torch", "triton"):
            got = run(gated_transition, backend, left)
            assert distance(got, exact(gated_transition, left)) < FARTHEST[dtype], backend


def test_wide_vectors_go_in_stretches(monkeypatch):
    given = transition_case(64, torch.float32, 300, 48)
    whole = run(gated_transition, "triton", given)
    monkeypatch.setattr(kernels, "HIDDEN_AT_ONCE", 2 * 48 * 10)
    torch.testing.assert_close(run(gated_transition, "triton", given), whole)


@pytest.mark.parametrize("backend", ["torch", "triton"])
@pytest.mark.parametrize("op", OPS)
def test_a_transposed_pair_is_read_rightly(op, backend):
    given = dict(OPS[op](35, torch.float32))
    given["x"] = given["x"].reshape(5, 7, CHANNELS).transpose(0, 1)
    before = given["x"].clone()
    got = run(op, backend, given)
    assert got.shape == (7, 5, CHANNELS)
    assert distance(got, exact(op, given)) < 1e-5
    torch.testing.assert_close(given["x"], before)


@pytest.mark.parametrize("op", OPS)
def test_gradients_are_refused_by_name_and_routed_by_auto(op):
    given = {name: t.clone().requires_grad_() for name, t in OPS[op](7, torch.float32).items()}
    with pytest.raises(CapabilityError, match="gradients"):
        op(**given, backend="triton")
    op(**given).square().sum().backward()
    got = {name: t.grad.clone() for name, t in given.items()}
    for tensor in given.values():
        tensor.grad = None
    op(**given, backend="reference").square().sum().backward()
    for name, tensor in given.items():
        torch.testing.assert_close(got[name], tensor.grad, atol=1e-3, rtol=1e-4)


def test_nothing_in_nothing_out():
    for op, case in OPS.items():
        given = {**case(7, torch.float32), "x": torch.empty(2, 0, CHANNELS)}
        assert run(op, "triton", given).shape == (2, 0, CHANNELS)
