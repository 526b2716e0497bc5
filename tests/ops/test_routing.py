import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from itda.errors import CapabilityError, DependencyError, InputError
from itda.ops import routing
from itda.ops.attention import attention


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
        assert last.backend not in routing.FORWARD_ONLY
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
