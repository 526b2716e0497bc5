"""Compares a family with its reference package, and shows that the comparison can fail.

A suite names what is compared and how near it must be, on which inputs. It has two sides, each of
which gives the compared tensors for an input, and sabotages, each of which breaks our side a little
and must be noticed. Its audit says what became of every tensor of the reference.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

Case = TypeVar("Case")
Values = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Check:
    """One thing that is compared.

    Attributes:
        name: As the values of both sides call it.
        unit: Of the numbers; empty for those without one.
        tolerance: Largest difference that passes.
        relative: Whether the difference is divided by the reference's largest value.
    """

    name: str
    unit: str
    tolerance: float
    relative: bool = False

    def difference(self, ours: Tensor, theirs: Tensor) -> float:
        """Return the largest difference; infinite where shapes differ or a number is no number."""
        if ours.shape != theirs.shape or not bool(ours.isfinite().all()):
            return math.inf
        largest = float((ours.double() - theirs.double()).abs().max()) if ours.numel() else 0.0
        scale = float(theirs.double().abs().max()) if self.relative and theirs.numel() else 1.0
        return largest / scale if scale else largest


@dataclass(frozen=True)
class Row:
    """The outcome of one check on one input."""

    check: str
    case: str
    unit: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the numbers are near enough."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Sabotage(Generic[Case]):
    """A way to break our side.

    Attributes:
        name: What is broken.
        broken: Gives a context in which our side is broken.
        case: On which input it is tried.
    """

    name: str
    broken: Callable[[], AbstractContextManager[None]]
    case: Case


@dataclass(frozen=True)
class Noticed:
    """What a sabotage did to the comparison.

    Attributes:
        sabotage: What was broken.
        check: The check that was missed by most.
        times_tolerance: Its difference over its tolerance.
    """

    sabotage: str
    check: str
    times_tolerance: float

    @property
    def passed(self) -> bool:
        """Whether some check failed, as it must."""
        return self.times_tolerance > 1.0


@dataclass(frozen=True)
class Audit:
    """What became of the reference's tensors.

    Attributes:
        total: Tensors of the reference's state.
        read: Those that our weights are made of.
        unused: Why each other one is rightly not read, by name.
        change: Largest change of the reference's own compared outputs, over tolerance, when each
            group of unused tensors is perturbed, by the group's reason.
    """

    total: int
    read: int
    unused: Mapping[str, str]
    change: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether every tensor is accounted for and none that is left out matters."""
        accounted = self.read + len(self.unused) == self.total
        proven = set(self.unused.values()) <= set(self.change)
        return accounted and proven and all(value <= 1.0 for value in self.change.values())


@dataclass(frozen=True)
class Suite(Generic[Case]):
    """A comparison of one family.

    Attributes:
        family: Its name.
        reference: Package and version that it is compared with.
        weights: Which weights both sides have.
        checks: What is compared.
        cases: Inputs by name.
        theirs: Gives the reference's values.
        ours: Gives ours.
        sabotages: Ways to break our side.
        audit: Gives the account of the reference's tensors.
    """

    family: str
    reference: str
    weights: str
    checks: tuple[Check, ...]
    cases: Mapping[str, Case]
    theirs: Callable[[Case], Values]
    ours: Callable[[Case], Values]
    sabotages: tuple[Sabotage[Case], ...]
    audit: Callable[[], Audit]


@dataclass(frozen=True)
class Report:
    """All outcomes of a suite."""

    family: str
    reference: str
    weights: str
    rows: tuple[Row, ...]
    noticed: tuple[Noticed, ...]
    audit: Audit
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all checks pass, all sabotages are noticed and the audit is complete."""
        rows = all(row.passed for row in self.rows)
        return rows and all(one.passed for one in self.noticed) and self.audit.passed

    def to_dict(self) -> dict[str, Any]:
        """Give plain data for JSON."""
        return {
            "family": self.family,
            "reference": self.reference,
            "weights": self.weights,
            "passed": self.passed,
            "rows": [{**vars(row), "passed": row.passed} for row in self.rows],
            "sabotages": [{**vars(one), "passed": one.passed} for one in self.noticed],
            "audit": {
                "total": self.audit.total,
                "read": self.audit.read,
                "unused": _grouped(self.audit.unused),
                "change_over_tolerance": dict(self.audit.change),
                "passed": self.audit.passed,
            },
            "versions": dict(self.versions),
        }


def run(suite: Suite[Case], report: Callable[[str], None] = lambda _text: None) -> Report:
    """Run a suite.

    Args:
        suite: What to compare.
        report: Told what is being done.
    """
    rows: list[Row] = []
    expected: dict[int, Values] = {}
    for name, case in suite.cases.items():
        report(f"{suite.family}: {name}")
        theirs = expected[id(case)] = suite.theirs(case)
        rows.extend(compare(suite.checks, name, suite.ours(case), theirs))
    noticed = []
    for sabotage in suite.sabotages:
        report(f"{suite.family}: sabotage, {sabotage.name}")
        theirs = expected.get(id(sabotage.case)) or suite.theirs(sabotage.case)
        with sabotage.broken():
            broken = compare(suite.checks, "", suite.ours(sabotage.case), theirs)
        worst = max(broken, key=lambda row: row.difference / row.tolerance)
        noticed.append(Noticed(sabotage.name, worst.check, worst.difference / worst.tolerance))
    report(f"{suite.family}: audit of tensors")
    return Report(
        suite.family,
        suite.reference,
        suite.weights,
        tuple(rows),
        tuple(noticed),
        suite.audit(),
        _versions(),
    )


def compare(checks: tuple[Check, ...], case: str, ours: Values, theirs: Values) -> Iterator[Row]:
    """Compare the values of both sides; a value that one side lacks is an error of the suite."""
    for check in checks:
        difference = check.difference(ours[check.name], theirs[check.name])
        yield Row(check.name, case, check.unit, difference, check.tolerance)


def randomise(module: nn.Module, *, scale: float = 1.0) -> None:
    """Give every parameter random values that depend on its name alone.

    Default starts zero the last layer of most blocks, which would hide every error behind them.

    Args:
        module: Changed in place.
        scale: Of matrices, where 1 keeps the variance of what passes through.
    """
    import torch

    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(random_tensor(name, tuple(parameter.shape), scale=scale))


def random_tensor(name: str, shape: tuple[int, ...], *, scale: float = 1.0) -> Tensor:
    """Give the random values of a parameter: near 1 for the weights of norms, small for biases."""
    import zlib

    import torch

    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    values = torch.empty(shape).normal_(generator=generator)
    if len(shape) < 2:
        # The only vectors called weight are those of norms.
        return values * 0.1 + (1.0 if name.endswith("weight") else 0.0)
    scaled: Tensor = values * (scale * shape[-1] ** -0.5)
    return scaled


def _grouped(unused: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, reason in unused.items():
        groups.setdefault(reason, []).append(name)
    return groups


def _versions() -> dict[str, str]:
    from importlib import metadata

    return {name: metadata.version(name) for name in ("itda", "torch")}


@contextlib.contextmanager
def taps(taken: dict[str, Any], modules: Mapping[str, nn.Module]) -> Iterator[None]:
    """Keep a copy of what modules give, of the first pass through each.

    Args:
        taken: Filled with the outputs as tuples, by the names of `modules`.
        modules: Watched while the context is open.
    """

    def keeper(name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _arguments: Any, output: Any) -> None:
            parts = output if isinstance(output, tuple) else (output,)
            if name not in taken:
                taken[name] = tuple(
                    part.clone() if hasattr(part, "clone") else part for part in parts
                )

        return keep

    handles = [module.register_forward_hook(keeper(name)) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def perturbed(tensor: Tensor) -> Iterator[None]:
    """Change every value of a tensor by about a tenth of their size, for as long as it is open."""
    import torch

    kept = tensor.detach().clone()
    generator = torch.Generator().manual_seed(1)
    noise = torch.empty(tensor.shape).normal_(generator=generator)
    with torch.no_grad():
        tensor += (0.1 * kept.float().abs().mean() * noise).to(tensor.dtype)
    try:
        yield
    finally:
        with torch.no_grad():
            tensor.copy_(kept)


@contextlib.contextmanager
def prehooked(
    module: nn.Module, change: Callable[[tuple[Any, ...]], tuple[Any, ...]]
) -> Iterator[None]:
    """Change what a module is given, for as long as it is open."""
    handle = module.register_forward_pre_hook(lambda _module, arguments: change(arguments))
    try:
        yield
    finally:
        handle.remove()
