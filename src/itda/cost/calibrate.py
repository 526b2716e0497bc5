"""`calibrate`: measure folds of several sizes on this machine, fit constants to them, keep them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itda.cost import calibration
from itda.cost.constants import Constants
from itda.cost.devices import Device, describe
from itda.cost.fit import FEWEST, Errors, Measured, errors, fit, left_out
from itda.cost.loads import on_device
from itda.cost.measure import Answer, Case, ExhaustedError, measure
from itda.device import resolve_device
from itda.errors import ItdaError
from itda.hub.weights import read_card
from itda.models.demand import FORMULAS, Load
from itda.progress import Progress, ignore_progress
from itda.version import itda_version

if TYPE_CHECKING:
    from itda.models.family import Family


SINGLE_SHARES = (0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1.0)
"""Sizes that are measured, as shares of the largest."""

LARGEST_TOKENS = 640
"""Residues of the largest job that is measured; larger ones take minutes on a processor."""

LONGEST_SECONDS = 60.0
"""A size that would take longer, going by the one before, is left out."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What calibration found for a family.

    Attributes:
        family: Its name.
        constants: That were stored.
        points: Folds that were measured.
        bytes_error: Of predicted peaks, on the same folds.
        seconds_error: Of predicted seconds.
        seconds_left_out: Of the seconds of each fold when the constants were fitted to all others.
        path: Where the constants are.
    """

    family: str
    constants: Constants
    points: int
    bytes_error: Errors
    seconds_error: Errors
    seconds_left_out: Errors
    path: Path

    @property
    def shown(self) -> str:
        """The same for people."""
        memory, seconds, alone = self.bytes_error, self.seconds_error, self.seconds_left_out
        return (
            f"{self.family}: fitted to {self.points} folds; memory within {memory.median:.1%} "
            f"(median; worst {memory.worst:.1%}), seconds within {seconds.median:.1%} (worst "
            f"{seconds.worst:.1%}; each fold by all others {alone.median:.1%}, worst "
            f"{alone.worst:.1%}); kept in {self.path}"
        )


def calibrate(
    families: Sequence[str],
    device: str,
    report: Progress = ignore_progress,
    *,
    weights: Mapping[str, Path] | None = None,
    cases: Callable[[Family], list[Case]] | None = None,
) -> list[Fitted]:
    """Fold random sequences, each in a fresh process, and keep what they teach.

    What was measured is kept until a family is done, so a calibration that was stopped goes on.

    Args:
        families: Names; one whose weights are not on this machine is left out, and that is told.
        device: `auto`, `cpu`, `cuda:0` or `mps`.
        report: Told the fraction done, and what is being done or was found; may raise to stop.
        weights: Weights files of the user's own by family.
        cases: What to fold, where that is not to be chosen here.

    Returns:
        What was fitted, for each family that could be measured.
    """
    from itda.models.registry import get_family

    device = resolve_device(device)
    described = describe(device)
    report(0.0, f"{described.shown}: each size is folded in a process of its own")
    found = []
    for place, name in enumerate(families):
        family = get_family(name)
        done, share = place / len(families), 1 / len(families)
        own = (weights or {}).get(name)
        if own is None and not has_weights(family):
            report(done + share, f"{name}: left out, its weights are not on this machine")
            continue
        wanted = cases(family) if cases else chosen_cases(family)
        wanted = [
            dataclasses.replace(case, device=device, weights=str(own) if own else None)
            for case in wanted
        ]

        def tell(fraction: float, message: str, done: float = done, share: float = share) -> None:
            report(done + share * fraction, message)

        fitted = _calibrate_one(family, described, wanted, own, tell)
        if fitted is not None:
            report(done + share, fitted.shown)
            found.append(fitted)
    return found


def has_weights(family: Family) -> bool:
    """Whether a family's own weights are on this machine, converted or built in."""
    from itda.hub.installed import state_of
    from itda.hub.registry import weight_sets

    weight_set = weight_sets().get(family.weight_set)
    if weight_set is None:
        return False
    state = state_of(weight_set)
    return state in ("built in", "installed", "can be converted")


def chosen_cases(family: Family) -> list[Case]:
    """Choose sizes, batches, samples and recycles that tell a family's constants apart."""
    can = family.capabilities
    most = min(can.max_tokens, LARGEST_TOKENS)
    least = max(can.min_length * can.min_chains, 16)
    if can.min_chains == 2:
        least, most = 190, min(most, 300)
    sizes = sorted({round(least + share * (most - least)) for share in SINGLE_SHARES})
    small, middle, large = sizes[2], sizes[len(sizes) // 2], sizes[-2]
    cases = [Case(family=family.name, tokens=(tokens,)) for tokens in sizes]
    if family.demand(Load(tokens=(small,))).batches:
        cases += [
            Case(family=family.name, tokens=tokens)
            for tokens in ((small,) * 4, (small,) * 16, (small, middle), (middle,) * 4)
        ]
    if can.samples:
        cases += [
            Case(family=family.name, tokens=(tokens,), samples=samples)
            for tokens, samples in ((small, 4), (middle, 2), (large, 2))
        ]
    if can.recycles:
        cases += [
            Case(family=family.name, tokens=(tokens,), recycles=recycles)
            for tokens, recycles in (
                (small, 0),
                (small, 4),
                (middle, 0),
                (middle, 1),
                (large, 0),
                (large, 2),
            )
        ]
    return cases


def _calibrate_one(
    family: Family,
    device: Device,
    cases: Sequence[Case],
    weights: Path | None,
    report: Progress,
) -> Fitted | None:
    sizes = read_card(weights).config if weights else None
    key = calibration.sizes_key(family.name, sizes)
    notebook = _Notebook(calibration.calibration_file(device), key)
    points: list[Measured] = []
    folds: list[dict[str, Any]] = []
    seconds_each = 0.0
    for place, case in enumerate(sorted(cases, key=_size), 1):
        told, before = f"{place} of {len(cases)}: {_told(case)}", (place - 1) / len(cases)
        if seconds_each * _size(case) > LONGEST_SECONDS:
            report(before, f"{told}: left out, it would take too long")
            continue
        report(before, told)
        try:
            answer = notebook.get(case) or measure(case)
        except ExhaustedError:
            report(before, f"{told}: left out, memory ran out")
            continue
        except ItdaError as error:
            report(before, f"{told}: left out: {error.problem}")
            continue
        notebook.add(case, answer)
        seconds_each = answer.seconds / _size(case)
        folds.append({"case": dataclasses.asdict(case), "answer": dataclasses.asdict(answer)})
        load = on_device(case.load, device)
        points.append(
            Measured(
                demand=family.demand(load, sizes) if sizes else family.demand(load),
                bytes=float(max(answer.bytes, answer.loading_bytes)),
                seconds=answer.seconds,
                start_seconds=answer.start_seconds,
                address_bytes=float(answer.address_bytes),
            )
        )
    if len(points) <= FEWEST:
        report(1.0, f"{family.name}: left out, only {len(points)} sizes could be measured")
        return None
    fitted = _store(family.name, key, device, points, folds)
    notebook.remove()
    return fitted


def _store(
    name: str,
    key: str,
    device: Device,
    points: Sequence[Measured],
    folds: Sequence[Mapping[str, Any]],
) -> Fitted:
    prior = calibration.shipped(name, device).constants.seconds
    constants = fit(points, prior)
    found = {
        "bytes_error": errors(constants, points, of="bytes"),
        "seconds_error": errors(constants, points),
        "seconds_left_out": left_out(points, prior),
    }
    entry: dict[str, Any] = {
        "constants": constants.to_dict(),
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "points": len(points),
        "folds": folds,
        **{what: dataclasses.asdict(value) for what, value in found.items()},
    }
    path = calibration.store(device, families={key: entry})
    return Fitted(family=name, constants=constants, points=len(points), path=path, **found)


def _size(case: Case) -> float:
    """Order cases by about how long they take."""
    # Where the family chooses, as ESMFold does.
    passes = case.samples * (1 + (3 if case.recycles is None else case.recycles))
    return float(passes * sum(case.tokens) * max(case.tokens))


def _told(case: Case) -> str:
    jobs = len(case.tokens)
    residues = f"{max(case.tokens)} residues" + (f" x {jobs} jobs" if jobs > 1 else "")
    samples = f", {case.samples} samples" if case.samples > 1 else ""
    recycles = f", {case.recycles} recycles" if case.recycles is not None else ""
    return f"{case.family}: {residues}{samples}{recycles}"


class _Notebook:
    """What a calibration measured before it was stopped, one line a fold.

    Args:
        beside: The file of constants.
        key: Of the family and its sizes.
    """

    def __init__(self, beside: Path, key: str) -> None:
        self._path = beside.with_name(f"{beside.stem}.{key.replace(':', '-')}.measured")
        self._known: dict[str, Answer] = {}
        with contextlib.suppress(OSError):
            for line in self._path.read_text(encoding="utf-8").splitlines():
                # The last line may be cut where the process was killed.
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    if entry["itda"] == itda_version() and entry["formulas"] == FORMULAS:
                        self._known[entry["case"]] = Answer(**entry["answer"])

    def get(self, case: Case) -> Answer | None:
        return self._known.get(case.to_json())

    def add(self, case: Case, answer: Answer) -> None:
        if case.to_json() in self._known:
            return
        entry = {
            "case": case.to_json(),
            "answer": dataclasses.asdict(answer),
            "itda": itda_version(),
            "formulas": FORMULAS,
            "at": time.time(),
        }
        # Where nothing can be kept, calibration goes on all the same, and starts anew if stopped.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()
