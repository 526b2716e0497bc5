"""Sections of the page of benchmarks: families beside their packages, throughput, the planner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from itda.bench.growth import growth
from itda.bench.page import growth_table, measured_on, number, table

Record = Mapping[str, Any]


def families_section(results: Mapping[str, Record]) -> str:
    """ESMFold and FlashABB beside the packages that they follow; empty where not measured."""
    lines = ["## Families beside their packages", ""]
    if "esmfold" in results:
        lines += _esmfold(results["esmfold"])
    if "flashabb" in results:
        lines += _flashabb(results["flashabb"])
    return "\n".join(lines) if len(lines) > 2 else ""


def _esmfold(record: Record) -> list[str]:
    rows, sizes = [], [row["residues"] for row in record["rows"]]
    fits: dict[str, dict[str, Any]] = {}
    for side in ("auto", "reference"):
        seconds = [row["processor_seconds"][side]["median"] for row in record["rows"]]
        peaks = [row["peak_bytes"][side] for row in record["rows"]]
        fits["ours" if side == "auto" else "transformers"] = {
            "seconds": growth(sizes, seconds),
            "bytes": growth(sizes, peaks),
        }
    for row in record["rows"]:
        seconds, peak = row["processor_seconds"], row["peak_bytes"]
        rows.append(
            [
                str(row["residues"]),
                number(seconds["auto"]["median"]),
                number(seconds["reference"]["median"]),
                f"{row['reference_over_ours_seconds']['auto']:.2f}",
                f"{peak['auto'] / 1e6:,.0f}",
                f"{peak['reference'] / 1e6:,.0f}",
                f"{peak['reference'] / peak['auto']:.2f}",
            ]
        )
    head = ["residues", "Itda, s", "transformers, s", "ratio"]
    return [
        "### ESMFold beside transformers",
        "",
        f"Full size, random weights, {record['recycles']} recycle, the network alone; Itda with "
        "its language model in bfloat16 and read from the file, as it runs by default on this "
        f"processor. Of these rows: {record['note']}.",
        "",
        "```sh",
        "python benchmarks/esmfold.py",
        "```",
        "",
        measured_on(record),
        *table([*head, "Itda, MB", "transformers, MB", "ratio"], rows, left=()),
        "",
        "Fits to these sizes, which are too few to tell much of others:",
        "",
        *growth_table(fits),
        "",
    ]


def _flashabb(record: Record) -> list[str]:
    rows = [
        [
            name,
            f"{one['ours']:.4f}",
            f"{one['reference']:.4f}",
            f"{one['reference_over_ours']:.2f}",
        ]
        for name, one in record["processor_seconds_per_antibody"].items()
    ]
    memory = record["peak_bytes_in_a_batch_of_16"]
    return [
        "### FlashABB beside flash-abb",
        "",
        "Real weights, 54 antibodies of about 230 residues, the network alone; peak of a batch of "
        f"16: {memory['ours'] / 1e6:,.0f} MB, of the package {memory['reference'] / 1e6:,.0f}.",
        "",
        "```sh",
        "python benchmarks/flashabb.py antibodies.npz",
        "```",
        "",
        measured_on(record),
        *table(
            ["antibodies at once", "Itda, s each", "flash-abb, s each", "ratio"], rows, left=(0,)
        ),
        "",
    ]


def throughput_section(record: Record) -> str:
    """Many proteins in one command."""
    seconds, residues = record["seconds"], record["residues"]
    count = record["proteins"]
    rows = [
        ["one command, batches", number(seconds["one_fold"]), number(seconds["one_fold"] / count)],
        [
            "one command, `--at-once 1`",
            number(seconds["one_fold_without_batches"]),
            number(seconds["one_fold_without_batches"] / count),
        ],
        [
            "a command each",
            number(seconds["separate_folds"]),
            number(seconds["a_protein_alone"]),
        ],
    ]
    return "\n".join(
        [
            "## Many proteins",
            "",
            f"{count} proteins of {min(residues)} to {max(residues)} residues with `mini`, seconds "
            "on the clock with all cores, start of Python to written files, nothing cached. Of the "
            f"commands of one protein {record['separate_measured']} were run, and their mean taken "
            "for all.",
            "",
            "```sh",
            "python benchmarks/throughput.py proteins.fasta",
            "```",
            "",
            measured_on(record),
            *table(["how", "seconds for all", "seconds each"], rows),
            "",
            f"One command is {record['ratio_to_separate']:.1f} times as fast as separate ones (aim "
            f"20), and batches {record['ratio_to_unbatched']:.2f} times as fast as none (aim 2).",
            "",
        ]
    )
