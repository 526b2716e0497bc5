"""Which backend an op takes: a table, what a caller or the environment says, and gradients.

`auto` obeys, in this order, `override(...)`, the environment variable `ITDA_OPS_BACKEND` (`triton`
for every op that has it, or `triangle_attention=triton,layer_norm=torch`), and the table in
`routing.json`. Where gradients are wanted, `auto` passes over what has none; a backend that was
asked for by name refuses instead.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import torch
from torch import Tensor

from itda.errors import CapabilityError, DependencyError, InputError
from itda.language import Message

VARIABLE = "ITDA_OPS_BACKEND"
"""Environment variable that `auto` obeys."""

BACKENDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "attention": ("reference", "sdpa", "triton"),
        "triangle_attention": ("reference", "sdpa", "triton", "cuequivariance"),
        "triangle_multiply": ("reference", "matmul", "triton"),
        "layer_norm": ("reference", "torch", "triton"),
        "gated_transition": ("reference", "torch", "triton"),
    }
)
"""Backends of each op; every one is compared with `reference` in the tests."""

DIFFERENTIABLE = frozenset({"reference", "torch", "sdpa", "matmul", "cuequivariance"})
"""Backends that give gradients; where they are wanted, no other one is chosen."""

_overrides: dict[str, str] = {}


@dataclass(frozen=True)
class Route:
    """A line of the table: what it fits, and the backend it names.

    Args:
        backend: Name of the backend.
        measured: Whether the choice rests on a measurement on such a device.
        device: Type of device that it fits (`cpu`, `cuda`); none fits all.
        dtypes: Names of dtypes that it fits (`float32`); none fits all.
        channels: Least and most channels that it fits, where there is a bound.
        tokens: Least and most tokens that it fits, where there is a bound; a line with one does not
            fit a question that names no tokens.
    """

    backend: str
    measured: bool
    device: str | None = None
    dtypes: tuple[str, ...] | None = None
    channels: tuple[int | None, int | None] = (None, None)
    tokens: tuple[int | None, int | None] = (None, None)

    def fits(self, *, device: str, dtype: str, channels: int | None, tokens: int | None) -> bool:
        """Whether the line speaks of such inputs."""
        return (
            self.device in (None, device)
            and (self.dtypes is None or dtype in self.dtypes)
            and _within(channels, self.channels)
            and _within(tokens, self.tokens)
        )


def table() -> Mapping[str, tuple[Route, ...]]:
    """Give the table that stands beside this file: lines by op, first fit wins."""
    return _TABLE


def choose(
    op: str,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    channels: int | None = None,
    tokens: int | None = None,
    differentiable: bool = False,
) -> Route:
    """Say what `auto` takes for inputs of a kind.

    Args:
        op: A key of `BACKENDS`.
        device: Type of the device, without an index.
        dtype: Name of the dtype, without `torch.`.
        channels: Of one head for attention, else of one vector.
        tokens: Length of the axis that is summed over, or the number of vectors.
        differentiable: Pass over backends without gradients.

    Raises:
        InputError: The op is unknown, or the environment variable names an unknown op or backend.
    """
    requested = _requested(op)
    lines = table()[op]
    if requested is not None:
        lines = (Route(requested, measured=False), *lines)
    for line in lines:
        if differentiable and line.backend not in DIFFERENTIABLE:
            continue
        if line.fits(device=device, dtype=dtype, channels=channels, tokens=tokens):
            return line
    raise AssertionError(f"the table has no last line for {op}")


def pick(
    op: str,
    backend: str,
    inputs: tuple[Tensor | None, ...],
    *,
    channels: int,
    tokens: int,
) -> str:
    """Name the backend that runs: the one asked for, or what `auto` takes for these inputs.

    Args:
        op: A key of `BACKENDS`.
        backend: `auto` or a name.
        inputs: Every tensor that may want a gradient; the first tells device and dtype.
        channels: See `choose`.
        tokens: See `choose`.

    Raises:
        InputError: There is no such backend.
        CapabilityError: It was asked for by name, has no gradients, and they are wanted.
    """
    wanted = torch.is_grad_enabled() and any(
        given is not None and given.requires_grad for given in inputs
    )
    if backend != "auto":
        _check(op, backend)
        if wanted and backend not in DIFFERENTIABLE:
            raise CapabilityError(
                Message(
                    "{op}: the backend {backend!r} gives no gradients, and an input wants one",
                    op=op,
                    backend=backend,
                ),
                hint=Message("use torch.no_grad(), or leave the choice to 'auto'"),
            )
        return backend
    first = inputs[0]
    assert first is not None
    return choose(
        op,
        device=first.device.type,
        dtype=str(first.dtype).removeprefix("torch."),
        channels=channels,
        tokens=tokens,
        differentiable=wanted,
    ).backend


@contextmanager
def override(backend: str | None = None, /, **by_op: str) -> Iterator[None]:
    """Make `auto` take other backends inside a `with`, in all threads of the process.

    Args:
        backend: For every op that has it.
        by_op: For one op, by its name; stronger than `backend`.

    Raises:
        InputError: An op or a backend is unknown.

    Examples:
        >>> with override("triton", layer_norm="torch"):
        ...     choose("layer_norm").backend, choose("attention").backend
        ('torch', 'triton')
    """
    before = dict(_overrides)
    _overrides.update(_for_all(backend) if backend else {})
    try:
        for op, name in by_op.items():
            _check(op, name)
            _overrides[op] = name
        yield
    finally:
        _overrides.clear()
        _overrides.update(before)


def optional(op: str, backend: str) -> ModuleType:
    """Import a backend that needs a package of its own.

    Raises:
        DependencyError: The package is not installed.
    """
    try:
        return importlib.import_module(f"itda.ops.{op}.{backend}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("itda"):
            raise
        raise missing(op, backend, error.name or backend) from error


def missing(op: str, backend: str, package: str, *, install: str = "") -> DependencyError:
    """Make the error for a backend whose package is not installed.

    Args:
        op: For the message.
        backend: That was asked for.
        package: By the name that it is imported by.
        install: By the name that it is installed by, where that is another one.
    """
    install = install or package.replace("_", "-")
    return DependencyError(
        Message(
            "{op}: the backend {backend!r} needs the package {package!r}, which is not installed",
            op=op,
            backend=backend,
            package=package,
        ),
        hint=Message(
            "pip install {install}, or leave the choice of backend to 'auto'", install=install
        ),
    )


def named_backends() -> Mapping[str, str]:
    """Give the backend of each op that `override` or the environment names: what `auto` obeys now.

    Raises:
        InputError: The environment variable names an unknown op or backend.

    Examples:
        >>> with override(layer_norm="torch"):
        ...     dict(named_backends())
        {'layer_norm': 'torch'}
    """
    text = os.environ.get(VARIABLE)
    both = {**(_parsed(text) if text else {}), **_overrides}
    return {op: both[op] for op in BACKENDS if op in both}


def _requested(op: str) -> str | None:
    """Read what `override` or the environment says of an op."""
    if op not in BACKENDS:
        raise InputError(
            Message("unknown op {op!r}", op=op),
            hint=Message("ops are {backends:,}", backends=BACKENDS),
        )
    if op in _overrides:
        return _overrides[op]
    text = os.environ.get(VARIABLE)
    return _parsed(text).get(op) if text else None


def _parsed(text: str) -> Mapping[str, str]:
    everywhere: dict[str, str] = {}
    by_op: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        op, equals, name = part.partition("=")
        if equals:
            _check(op.strip(), name.strip())
            by_op[op.strip()] = name.strip()
        else:
            everywhere.update(_for_all(part))
    return MappingProxyType({**everywhere, **by_op})


def _for_all(backend: str) -> dict[str, str]:
    by_op = {op: backend for op, names in BACKENDS.items() if backend in names}
    if not by_op:
        names = sorted({name for names in BACKENDS.values() for name in names})
        raise InputError(
            Message("unknown backend {backend!r}", backend=backend),
            hint=Message("backends are {names:,}", names=names),
        )
    return by_op


def _check(op: str, backend: str) -> None:
    if op not in BACKENDS:
        raise InputError(
            Message("unknown op {op!r}", op=op),
            hint=Message("ops are {backends:,}", backends=BACKENDS),
        )
    if backend not in BACKENDS[op]:
        raise InputError(
            Message("{op}: unknown backend {backend!r}", op=op, backend=backend),
            hint=Message("backends of {op} are auto, {backends:,}", op=op, backends=BACKENDS[op]),
        )


def _within(value: int | None, bounds: tuple[int | None, int | None]) -> bool:
    least, most = bounds
    if value is None:
        return least is None and most is None
    return (least is None or value >= least) and (most is None or value <= most)


def _route(line: dict[str, Any]) -> Route:
    ranges = {name: tuple(line[name]) for name in ("channels", "tokens", "dtypes") if name in line}
    return Route(line["backend"], line["measured"], line.get("device"), **ranges)


def _read() -> Mapping[str, tuple[Route, ...]]:
    text = Path(__file__).with_name("routing.json").read_text(encoding="utf-8")
    lines = json.loads(text)
    return MappingProxyType({op: tuple(_route(line) for line in lines[op]) for op in BACKENDS})


# Read at once: torch.compile, which follows what an op does, could not follow it into a file.
_TABLE = _read()
