"""Our Pairformer block and those of other packages, in turn, in one run."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from itda.bench.rivals.blocks import (
    BLOCKS,
    PAIR_CHANNELS,
    PAIR_HEADS,
    PARTS,
    RIVALS,
    SINGLE_CHANNELS,
    SINGLE_HEADS,
)
from itda.bench.side import Side
from itda.bench.summary import ratios, rounded, side_summary
from itda.errors import DependencyError, InputError
from itda.language import Message

WORKER = "itda.bench.rivals.worker"
OURS = "ours"
PRECISIONS = ("float32", "bfloat16")
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05}
"""Largest difference over the largest value of what the block adds to its inputs."""

REPEATS = {128: 5, 256: 5, 384: 3, 512: 2}
"""By tokens, unless told: the rivals take half a minute at 512."""

CHECKED_TOKENS = 40
Report = Callable[[str], None]


def compare(
    rivals: Sequence[str],
    *,
    python: str | None,
    tokens: Sequence[int],
    parts_up_to: int,
    repeats: int | None,
    report: Report,
) -> dict[str, Any]:
    """Check that all compute the same numbers, then measure them in turn.

    Args:
        rivals: Keys of `RIVALS`; one that cannot be imported is left out, and the result says so.
        python: Interpreter that has the rivals; ours runs in this one.
        tokens: Sizes.
        parts_up_to: Largest size at which the parts of the block are measured too.
        repeats: Of each measurement; by size unless told.
        report: Takes progress.

    Raises:
        InputError: A rival is unknown.
        DependencyError: No rival can be imported.
    """
    for name in rivals:
        if name not in RIVALS:
            raise InputError(
                Message("unknown rival {name!r}", name=name),
                hint=Message("rivals are {rivals:,}", rivals=RIVALS),
            )
    with contextlib.ExitStack() as stack:
        sides = {OURS: stack.enter_context(Side(WORKER, OURS))}
        about, missing = {OURS: sides[OURS].ask(do="about")}, {}
        for name in rivals:
            side = stack.enter_context(Side(WORKER, name, python=python))
            try:
                about[name], sides[name] = side.ask(do="about"), side
            except DependencyError as error:
                missing[name] = error.problem
                report(f"{name} is left out: {error.problem}")
        if len(sides) == 1:
            raise DependencyError(
                Message(
                    "none of {rivals:,} can be imported: {missing}",
                    rivals=rivals,
                    missing=missing[rivals[0]],
                ),
                hint=Message("give the Python of an environment that has one: {--python:PATH}"),
            )
        numbers = {
            name: _numbers(sides[OURS], sides[name], about[name]["bias_transposed"], report)
            for name in sides
            if name != OURS
        }
        rows = [
            _row(sides, part, size, repeats or _repeats(size), report)
            for size in tokens
            for part in (PARTS if size <= parts_up_to else PARTS[:1])
        ]
    return {
        "threads": 1,
        "channels": {"pair": PAIR_CHANNELS, "single": SINGLE_CHANNELS},
        "heads": {"pair": PAIR_HEADS, "single": SINGLE_HEADS},
        "blocks": BLOCKS,
        "sides": about,
        "left_out": missing,
        "numbers": numbers,
        "rows": rows,
    }


def _repeats(tokens: int) -> int:
    return next((count for size, count in REPEATS.items() if tokens <= size), 1)


def _row(
    sides: dict[str, Side], part: str, tokens: int, repeats: int, report: Report
) -> dict[str, Any]:
    samples: dict[tuple[str, str], list[dict[str, Any]]] = {
        (precision, name): [] for precision in PRECISIONS for name in sides
    }
    request = {"do": "measure", "part": part, "tokens": tokens}
    for precision, name in samples:
        # The first run lays out memory and chooses kernels.
        if tokens <= 256:
            sides[name].ask(**request, precision=precision)
    order = list(samples)
    for count in range(repeats):
        # Each round starts elsewhere, so that no side always follows the same one.
        for precision, name in order[count % len(order) :] + order[: count % len(order)]:
            answer = sides[name].ask(**request, precision=precision)
            samples[precision, name].append(answer)
    found = {
        precision: {name: side_summary(samples[precision, name]) for name in sides}
        for precision in PRECISIONS
    }
    against = {
        f"ours {mine}, theirs {yours}": {
            name: ratios(found[yours][name], found[mine][OURS]) for name in sides if name != OURS
        }
        for mine, yours in (("float32",) * 2, ("bfloat16",) * 2, ("bfloat16", "float32"))
    }
    row = {"part": part, "tokens": tokens, "repeats": repeats, "measured": found, "ratios": against}
    if part == "block":
        row[f"seconds_of_{BLOCKS}_blocks"] = {
            precision: {
                name: rounded(BLOCKS * one["seconds"]["median"]) for name, one in by_name.items()
            }
            for precision, by_name in found.items()
        }
    report(f"{part}, {tokens} tokens: " + _line(row))
    return row


def _line(row: dict[str, Any]) -> str:
    return "; ".join(
        f"{key}: "
        + ", ".join(
            f"{name} {one['seconds']:.2f}x seconds {one['peak_bytes']:.2f}x bytes"
            for name, one in by_name.items()
        )
        for key, by_name in row["ratios"].items()
    )


def _numbers(ours: Side, theirs: Side, bias_transposed: bool, report: Report) -> dict[str, Any]:
    """Compare the numbers of two sides that have the same weights, and ours with a weight changed.

    The last is to be far off, or the comparison could see nothing.
    """
    import torch

    from itda.bench.rivals import blocks
    from itda.parity.harness import perturbed, randomise

    module = blocks.ours(ending_bias_transposed=bias_transposed).module
    randomise(module)
    generator = torch.Generator().manual_seed(1)
    single = torch.randn(1, CHECKED_TOKENS, SINGLE_CHANNELS, generator=generator)
    pair = torch.randn(1, CHECKED_TOKENS, CHECKED_TOKENS, PAIR_CHANNELS, generator=generator)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names = {"weights": folder / "weights.pt", "inputs": folder / "inputs.pt"}
        torch.save({"single": single, "pair": pair}, names["inputs"])

        def computed(side: Side, precision: str) -> dict[str, Any]:
            torch.save(module.state_dict(), names["weights"])
            outputs = folder / "outputs.pt"
            side.ask(
                do="numbers", precision=precision, bias_transposed=bias_transposed,
                outputs=str(outputs), **{name: str(path) for name, path in names.items()},
            )  # fmt: skip
            found: dict[str, Any] = torch.load(outputs, weights_only=True)
            return {"single": found["single"] - single, "pair": found["pair"] - pair}

        expected = computed(theirs, "float32")
        result: dict[str, Any] = {"tokens": CHECKED_TOKENS}
        for precision in PRECISIONS:
            apart = _difference(computed(ours, precision), expected)
            result[precision] = _verdict(apart, TOLERANCE[precision])
        with perturbed(module.ending.gate.weight):
            apart = _difference(computed(ours, "float32"), expected)
        result["a_weight_changed"] = {
            "difference": rounded(apart, 3),
            "noticed": apart > TOLERANCE["float32"],
        }
    report(f"numbers: {result}")
    return result


def _verdict(difference: float, tolerance: float) -> dict[str, Any]:
    return {
        "difference": rounded(difference, 3),
        "tolerance": tolerance,
        "passed": difference <= tolerance,
    }


def _difference(got: dict[str, Any], expected: dict[str, Any]) -> float:
    return max(
        float((got[name] - expected[name]).abs().max() / expected[name].abs().max())
        for name in expected
    )
