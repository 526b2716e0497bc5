"""Whole `itda fold` commands: the routed ops and the plain reference ops, in turn."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from itda.bench.growth import FEWEST, growth
from itda.bench.summary import ratios, side_summary
from itda.errors import InputError, ItdaError
from itda.language import Message

SIDES = {"ours": "", "reference": "reference"}
"""What the environment says of the ops: nothing, or that all are the plain reference."""

FIXED = {
    "flashabb": (
        "EVQLLESGGGLVQPGGSLRLSCAASGFTFSSYAMSWVRQAPGKGLEWVSAISGSGGSTYY"
        "ADSVKGRFTISRDNSKNTLYLQMNSLRAEDTAVYYCAKDYFDYWGQGTLVTVSS:"
        "DIQMTQSPSSLSASVGDRVTITCRASQSISSYLNWYQQKPGKAPKLLIYAASSLQSGVPS"
        "RFSGSGSGTDFTLTISSLQPEDFATYYCQQSYSTPLTFGGGTKVEIK"
    )
}
"""Families that fold one kind of protein, whose length is what it is."""


class FoldError(ItdaError):
    """A command that was to be measured failed."""


def measure(
    family: str,
    *,
    tokens: Sequence[int],
    repeats: int,
    weights: str | None,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Fold one random protein of each size in fresh processes with nothing cached.

    Args:
        family: Name of a model family.
        tokens: Residues.
        repeats: Of each command.
        weights: As `itda fold --weights` takes it.
        report: Takes progress.

    Returns:
        Processor seconds and peak bytes of whole commands by size and side, ratios, and fits.

    Raises:
        FoldError: A command failed.
    """
    sequences = [FIXED[family]] if family in FIXED else [_sequence(size) for size in tokens]
    rows = [_row(family, sequence, repeats, weights, report) for sequence in sequences]
    return {
        "family": family,
        "threads": 1,
        "repeats": repeats,
        "rows": rows,
        "growth": _growth(rows) if len(rows) >= FEWEST else None,
    }


def _growth(rows: list[dict[str, Any]]) -> dict[str, Any]:
    sizes = [row["tokens"] for row in rows]
    return {
        side: {
            "seconds": growth(sizes, [row[side]["seconds"]["median"] for row in rows]),
            "bytes": growth(sizes, [row[side]["peak_bytes"] for row in rows]),
        }
        for side in SIDES
    }


def _row(
    family: str,
    sequence: str,
    repeats: int,
    weights: str | None,
    report: Callable[[str], None],
) -> dict[str, Any]:
    samples: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(repeats):
        for side, told in SIDES.items():
            samples[side].append(_fold(family, sequence, weights, told))
    found = {side: side_summary(samples[side]) for side in SIDES}
    row: dict[str, Any] = {
        "tokens": len(sequence.replace(":", "")),
        **found,
        "ratios": ratios(found["reference"], found["ours"]),
    }
    times = row["ratios"]
    report(
        f"{family}, {row['tokens']} residues: {found['ours']['seconds']['median']:.2f} s, "
        f"{found['ours']['peak_bytes'] / 1e6:.0f} MB; the reference takes "
        f"{times['seconds']:.2f} and {times['peak_bytes']:.2f} times as much"
    )
    return row


def _fold(family: str, sequence: str, weights: str | None, told: str) -> dict[str, Any]:
    """Run the command, and return its processor seconds, wall seconds and peak bytes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "protein.fasta").write_text(f">protein\n{sequence}\n")
        command = [
            sys.executable, "-m", "itda", "fold", str(folder / "protein.fasta"),
            "--model", family, "--out", str(folder / "out"), "--device", "cpu",
            *(("--weights", weights) if weights else ()),
        ]  # fmt: skip
        environment = {
            **os.environ,
            "ITDA_CACHE": str(folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
        }
        environment.pop("ITDA_OPS_BACKEND", None)
        if told:
            environment["ITDA_OPS_BACKEND"] = told
        log = folder / "log.txt"
        began = time.perf_counter()
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
            _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise FoldError(
                Message(
                    "itda fold {--model:{family}} failed: {log}",
                    family=family,
                    log=log.read_text(errors="replace")[-2000:],
                ),
                hint=Message("run the command by itself to see what it lacks"),
            )
        unit = 1 if sys.platform == "darwin" else 1024
        return {
            "seconds": usage.ru_utime + usage.ru_stime,
            "wall_seconds": wall,
            "bytes": usage.ru_maxrss * unit,
        }


def _sequence(length: int) -> str:
    """Give a protein of random residues, the same one for a length each time."""
    import random

    if length < 4:
        raise InputError(
            Message("{length} residues are too few to fold", length=length),
            hint=Message("give sizes of 4 or more"),
        )
    generator = random.Random(length)
    return "".join(generator.choice("ACDEFGHIKLMNPQRSTVWY") for _ in range(length))
