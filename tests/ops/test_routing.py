import contextlib
import functools
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from itda.errors import CapabilityError, DependencyError, InputError
from itda.ops import routing
from itda.ops.attention import attention
from itda.ops.gated_transition import gated_transition
from itda.ops.layer_norm import layer_norm
from itda.ops.triangle_attention import triangle_attention
from itda.ops.triangle_multiply import triangle_multiply


def chosen(op: str, channels: int | None = None) -> str:
    return routing.choose(op, channels=channels).backend


def test_auto_on_a_cpu_is_what_pytorch_brings():
    assert [chosen("attention", size) for size in (1, 4, 7, 8, 9, 32)] == [
        *["reference"] * 3,
        *["sdpa"] * 3,
    ]
    assert chosen("triangle_attention", 4) == "reference"
    assert chosen("triangle_attention", 8) == "sdpa"
    assert chosen("triangle_multiply") == "matmul"
    assert chosen("layer_norm") == "torch"
    assert chosen("gated_transition") == "torch"


@pytest.mark.parametrize("op", routing.BACKENDS)
def test_cuda_is_not_measured_and_takes_what_pytorch_brings(op):
    for dtype in ("float32", "bfloat16", "float16"):
        for tokens in (7, 384, 4096):
            route = routing.choose(op, device="cuda", dtype=dtype, channels=32, tokens=tokens)
            assert not route.measured
            assert route.backend in ("sdpa", "matmul", "torch")


def test_every_line_names_a_backend_of_its_op_and_the_last_fits_all():
    for op, lines in routing.table().items():
        assert {line.backend for line in lines} <= set(routing.BACKENDS[op])
        last = lines[-1]
        assert last.backend in routing.DIFFERENTIABLE
        assert last.fits(device="any", dtype="any", channels=None, tokens=None)


def test_the_table_has_no_keys_that_nobody_reads():
    path = Path(routing.__file__).with_name("routing.json")
    lines = json.loads(path.read_text(encoding="utf-8"))
    assert lines.pop("about")
    assert set(lines) == set(routing.BACKENDS)
    known = {"device", "dtypes", "channels", "tokens", "backend", "measured"}
    assert {key for found in lines.values() for line in found for key in line} <= known


@pytest.fixture
def own_table(monkeypatch):
    lines = (
        routing.Route("triton", True, "cuda", ("bfloat16",), channels=(16, 64), tokens=(256, None)),
        routing.Route("sdpa", True, "cuda"),
        routing.Route("reference", False),
    )
    monkeypatch.setattr(routing, "table", lambda: {"attention": lines})


@pytest.mark.parametrize(
    ("given", "backend"),
    [
        (("cuda", "bfloat16", 32, 256), "triton"),
        (("cuda", "bfloat16", 64, 4096), "triton"),
        (("cuda", "bfloat16", 65, 4096), "sdpa"),
        (("cuda", "bfloat16", 15, 4096), "sdpa"),
        (("cuda", "bfloat16", 32, 255), "sdpa"),
        (("cuda", "bfloat16", 32, None), "sdpa"),
        (("cuda", "float32", 32, 256), "sdpa"),
        (("cpu", "bfloat16", 32, 256), "reference"),
    ],
)
def test_first_line_that_fits_wins(own_table, given, backend):
    device, dtype, channels, tokens = given
    asked = {"device": device, "dtype": dtype, "channels": channels, "tokens": tokens}
    assert routing.choose("attention", **asked).backend == backend


def test_gradients_pass_over_what_has_none(own_table):
    asked = {"device": "cuda", "dtype": "bfloat16", "channels": 32, "tokens": 512}
    assert routing.choose("attention", **asked, differentiable=True).backend == "sdpa"


@pytest.mark.parametrize("op", routing.BACKENDS)
@pytest.mark.parametrize("way", ["table", "override", "environment"])
def test_a_backend_that_promises_no_gradients_is_never_chosen_for_them(op, way, monkeypatch):
    names = (*routing.BACKENDS[op], "novel")
    monkeypatch.setattr(routing, "BACKENDS", {**routing.BACKENDS, op: names})
    for name in names:
        with monkeypatch.context() as patched, contextlib.ExitStack() as stack:
            if way == "table":
                lines = (routing.Route(name, measured=True), *routing.table()[op])
                patched.setattr(routing, "table", lambda lines=lines: {op: lines})
            elif way == "override":
                stack.enter_context(routing.override(**{op: name}))
            else:
                patched.setenv(routing.VARIABLE, f"{op}={name}")
            for device, tokens in itertools.product(("cpu", "cuda", "mps"), (None, 7, 4096)):
                asked = {"device": device, "channels": 32, "tokens": tokens}
                assert routing.choose(op, **asked).backend == name
                taken = routing.choose(op, **asked, differentiable=True).backend
                assert taken in routing.DIFFERENTIABLE
                assert (taken == name) == (name in routing.DIFFERENTIABLE)
    assert {"triton", "novel"}.isdisjoint(routing.DIFFERENTIABLE)


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


KEPT = torch.tensor([[True, True, True, False], [True, True, True, True]])
EXAMPLES = {
    "attention": lambda: (
        attention,
        {**{name: numbers(2, 2, 4, 8) for name in ("query", "key", "value")},
         "bias": numbers(2, 2, 4, 4), "key_mask": KEPT},
    ),
    "triangle_attention": lambda: (
        triangle_attention,
        {**{name: numbers(2, 4, 4, 2, 8) for name in ("query", "key", "value")},
         "bias": numbers(2, 2, 4, 4), "mask": KEPT[:, :, None] & KEPT[:, None, :]},
    ),
    "triangle_multiply": lambda: (
        functools.partial(triangle_multiply, outgoing=False),
        {"left": numbers(2, 4, 4, 8), "right": numbers(2, 4, 4, 8)},
    ),
    "layer_norm": lambda: (
        layer_norm, {"x": numbers(3, 8), "weight": numbers(8), "bias": numbers(8)}
    ),
    "gated_transition": lambda: (
        gated_transition,
        {"x": numbers(3, 8), "norm_weight": numbers(8), "norm_bias": numbers(8),
         "up": numbers(12, 8), "down": numbers(8, 6)},
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("op", "backend"),
    [
        (op, backend)
        for op, backends in routing.BACKENDS.items()
        for backend in backends
        # It needs a GPU; tests/ops/test_cuequivariance.py has what can be said without one.
        if backend in routing.DIFFERENTIABLE and backend != "cuequivariance"
    ],
)
def test_gradients_that_are_promised_are_slopes(op, backend):
    run, given = EXAMPLES[op]()
    leaves = {
        name: tensor.double().requires_grad_()
        for name, tensor in given.items()
        if tensor.dtype != torch.bool
    }

    def of_leaves(*values):
        return run(**{**given, **dict(zip(leaves, values, strict=True))}, backend=backend)

    assert torch.autograd.gradcheck(of_leaves, tuple(leaves.values()), atol=1e-7, rtol=1e-6)


def test_override_is_obeyed_and_undone():
    with routing.override("triton", layer_norm="reference"):
        assert routing.choose("attention", channels=32).backend == "triton"
        assert routing.choose("layer_norm").backend == "reference"
        with routing.override(attention="reference"):
            assert chosen("attention", 32) == "reference"
            assert routing.choose("gated_transition").backend == "triton"
        assert chosen("attention", 32) == "triton"
    assert chosen("attention", 32) == "sdpa"
    with pytest.raises(RuntimeError), routing.override("triton"):
        raise RuntimeError
    assert chosen("attention", 32) == "sdpa"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("triton", {"attention": "triton", "triangle_multiply": "triton"}),
        ("attention=reference", {"attention": "reference", "triangle_multiply": "matmul"}),
        (
            "triton, attention = sdpa",
            {"attention": "sdpa", "triangle_multiply": "triton"},
        ),
        ("", {"attention": "sdpa"}),
    ],
)
def test_the_environment_is_obeyed(monkeypatch, text, expected):
    monkeypatch.setenv(routing.VARIABLE, text)
    got = {op: routing.choose(op, channels=32).backend for op in expected}
    assert got == expected
    with routing.override(attention="reference"):
        assert chosen("attention", 32) == "reference"


@pytest.mark.parametrize("text", ["triton2", "attention=matmul", "foo=triton"])
def test_an_environment_that_makes_no_sense_is_refused(monkeypatch, text):
    monkeypatch.setenv(routing.VARIABLE, text)
    with pytest.raises(InputError, match="unknown"):
        chosen("attention", 32)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="unknown op"):
        routing.choose("foo")
    with pytest.raises(InputError, match="unknown backend"), routing.override("foo"):
        pass
    with pytest.raises(InputError, match="unknown backend"), routing.override(attention="matmul"):
        pass
    one = torch.ones(1, 1, 2, 8)
    with pytest.raises(InputError, match="backends of attention are auto, reference") as error:
        attention(one, one, one, bias=None, key_mask=torch.ones(1, 2) > 0, backend="matmul")
    assert "matmul" in error.value.problem


def test_auto_runs_what_override_says(monkeypatch):
    calls = []
    from itda.ops.attention import reference

    honest = reference.attention
    monkeypatch.setattr(reference, "attention", lambda *a: calls.append(1) or honest(*a))
    one = torch.ones(1, 1, 2, 8)
    mask = torch.ones(1, 2) > 0
    attention(one, one, one, bias=None, key_mask=mask)
    assert not calls
    with routing.override("reference"):
        attention(one, one, one, bias=None, key_mask=mask)
    assert calls


def test_a_package_that_is_missing_is_named(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError("No module named 'triton'", name="triton")

    monkeypatch.setattr(routing.importlib, "import_module", absent)
    with pytest.raises(DependencyError, match=r"triton.*not installed"):
        routing.optional("attention", "triton")


def test_a_mistake_of_ours_is_not_called_a_missing_package(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("No module named 'itda.ops.x'", name="itda.ops.x")

    monkeypatch.setattr(routing.importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError):
        routing.optional("attention", "triton")


def test_a_kernel_on_a_cpu_without_interpreter_is_refused():
    pytest.importorskip("triton")
    program = """
import torch
from itda.ops.layer_norm import layer_norm
from itda.errors import CapabilityError
try:
    layer_norm(torch.ones(2, 8), backend="triton")
except CapabilityError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": "", "TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "run on a CUDA device, and the input is on cpu" in done.stdout
    assert issubclass(CapabilityError, Exception)


def test_nothing_imports_triton_before_it_is_asked_for():
    program = "import sys, itda.ops.gated_transition, itda.ops.triangle_attention; "
    program += "print('triton' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.slow
@pytest.mark.parametrize("told", ["", "reference"])
def test_torch_compile_goes_through_the_choice_in_one_graph(monkeypatch, told):
    monkeypatch.setenv(routing.VARIABLE, told)

    def mixed(one, mask):
        return attention(one, one, one, bias=None, key_mask=mask)

    one, mask = torch.randn(1, 2, 5, 8), torch.ones(1, 5) > 0
    compiled = torch.compile(mixed, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(one, mask), mixed(one, mask))
