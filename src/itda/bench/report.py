"""Write `docs/benchmarks.md` from the files of results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from itda.bench.page import growth_table, measured_on, number, seconds, side_name, table
from itda.bench.report_families import families_section, throughput_section
from itda.bench.rivals.blocks import BLOCKS, PARTS

HEAD = """# Benchmarks

Made by `itda bench report` from the files in `benchmarks/results`; a test holds the two together.
Everything here can be run again; each section says how. Sides that are compared ran in turn in
one run, on one thread unless told. Seconds are processor seconds (on a GPU, between events):
medians, with the range over the median as the spread. Memory is the peak of a process above what
it held before, inputs included, unless told. Ratios say how many times as much the other side
takes: above 1 Itda is better, below 1 it is worse.
"""

AIM = 2.0

PRECISIONS = {
    "ours float32, theirs float32": "both in float32",
    "ours bfloat16, theirs bfloat16": "both in bfloat16 (theirs by autocast)",
    "ours bfloat16, theirs float32": "Itda in bfloat16, theirs in float32",
}


def page(results: dict[str, dict[str, Any]]) -> str:
    """Write the page.

    Args:
        results: Records of `write_record` by the name of their file; missing ones are left out.
    """
    sections = [HEAD]
    if "bench_rivals" in results:
        sections.append(_rivals(results["bench_rivals"]))
    for name, record in sorted(results.items()):
        if name.startswith("bench_ops"):
            sections.append(_ops(record))
    folds = [record for name, record in sorted(results.items()) if name.startswith("bench_fold")]
    if folds:
        sections.append(_folds(folds))
    sections.append(families_section(results))
    if "throughput" in results:
        sections.append(throughput_section(results["throughput"]))
    return "\n".join(section for section in sections if section)


OTHERS = ("esmfold", "flashabb", "throughput")
"""Results of scripts in `benchmarks/` that the page shows as well."""


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Read what the page is made from, by the name of the file."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
        if path.stem.startswith("bench_") or path.stem in OTHERS
    }


def _rivals(record: dict[str, Any]) -> str:
    names = [name for name in record["sides"] if name != "ours"]
    versions = ", ".join(f"{name} {record['sides'][name]['version']}" for name in names)
    lines = [
        "## The Pairformer block beside other packages",
        "",
        f"One block of AlphaFold 3's Pairformer ({record['channels']['pair']} pair and "
        f"{record['channels']['single']} single channels, {record['heads']['pair']} and "
        f"{record['heads']['single']} heads), random weights, beside the same block of {versions}, "
        "each as its own inference runs it on a CPU (its plain PyTorch path, its own chunks, in "
        f"place where it works in place). A stack has {BLOCKS} such blocks: its seconds are "
        f"{BLOCKS} times those of one (a product, not a measurement); its memory is that of one.",
        "",
        "```sh",
        "itda bench rivals --python OTHER_ENVIRONMENT/bin/python",
        "```",
        "",
        measured_on(record),
        "First, the same numbers from the same weights: the largest difference of what a block "
        "adds to its inputs, over the largest value.",
        "",
        *table(
            ["beside", "float32", "may be", "Itda in bfloat16", "may be", "one weight changed"],
            [
                [
                    name,
                    f"{one['float32']['difference']:.1e}",
                    f"{one['float32']['tolerance']:g}",
                    f"{one['bfloat16']['difference']:.1e}",
                    f"{one['bfloat16']['tolerance']:g}",
                    f"{one['a_weight_changed']['difference']:.1e}"
                    + (", noticed" if one["a_weight_changed"]["noticed"] else ", NOT NOTICED"),
                ]
                for name, one in record["numbers"].items()
            ],
        ),
        "",
    ]
    for precision in ("float32", "bfloat16"):
        lines += [f"### Whole block, {precision}", "", *_block_table(record, precision), ""]
    lines += ["### Ratios of the whole block, theirs over ours", ""]
    lines += [*_ratio_table(record, names), "", *_aims(record), ""]
    parts = [row for row in record["rows"] if row["part"] != "block"]
    if parts:
        lines += ["### Ratios of seconds of the parts, theirs over ours", ""]
        lines += [*_parts_table(parts, names), ""]
    if record["left_out"]:
        lines += [f"Left out, since they could not be imported: {', '.join(record['left_out'])}.\n"]
    return "\n".join(lines)


def _block_rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in record["rows"] if row["part"] == "block"]


def _block_table(record: dict[str, Any], precision: str) -> list[str]:
    rows = []
    for row in _block_rows(record):
        stack = row[f"seconds_of_{BLOCKS}_blocks"][precision]
        for name, one in row["measured"][precision].items():
            rows.append(
                [
                    str(row["tokens"]),
                    side_name(name),
                    seconds(one),
                    f"{one['seconds']['spread']:.0%}",
                    number(stack[name]),
                    f"{one['peak_bytes'] / 1e6:,.0f}",
                ]
            )
    head = ["tokens", "side", "seconds a block", "spread", f"{BLOCKS} blocks, s", "peak, MB"]
    return table(head, rows, left=(1,))


def _ratio_table(record: dict[str, Any], names: Sequence[str]) -> list[str]:
    rows = [
        [
            str(row["tokens"]),
            PRECISIONS[key],
            *(f"{row['ratios'][key][name]['seconds']:.2f}" for name in names),
            *(f"{row['ratios'][key][name]['peak_bytes']:.1f}" for name in names),
        ]
        for row in _block_rows(record)
        for key in PRECISIONS
    ]
    head = ["tokens", "numbers", *(f"{name}, s" for name in names)]
    return table([*head, *(f"{name}, bytes" for name in names)], rows, left=(1,))


def _aims(record: dict[str, Any]) -> list[str]:
    """Say where the aim, twice as fast in half the memory, is met against every package."""
    lines = ["The aim is 2 in seconds and 2 in bytes against every package. Smallest ratios:", ""]
    for key, told in PRECISIONS.items():
        least = {
            of: [
                (min(one[of] for one in row["ratios"][key].values()), row["tokens"])
                for row in _block_rows(record)
            ]
            for of in ("seconds", "peak_bytes")
        }
        missed = [str(tokens) for value, tokens in least["seconds"] if value < AIM]
        told_missed = f"missed at {', '.join(missed)} tokens" if missed else "met at every size"
        (seconds, at), (size, there) = min(least["seconds"]), min(least["peak_bytes"])
        lines.append(
            f"- {told}: {seconds:.2f} in seconds (at {at} tokens; {told_missed}), "
            f"{size:.1f} in bytes (at {there})."
        )
    return lines


def _parts_table(parts: list[dict[str, Any]], names: Sequence[str]) -> list[str]:
    keys = list(PRECISIONS)[:2]
    rows = [
        [
            str(row["tokens"]),
            row["part"].replace("_", " "),
            *(f"{row['ratios'][key][name]['seconds']:.2f}" for key in keys for name in names),
        ]
        for row in sorted(parts, key=lambda row: (row["tokens"], PARTS.index(row["part"])))
    ]
    columns = [f"{name}, {precision}" for precision in ("float32", "bfloat16") for name in names]
    return table(["tokens", "part", *columns], rows, left=(1,))


def _ops(record: dict[str, Any]) -> str:
    lines = [
        f"## Ops on {record['device']}, {record['dtype']}",
        "",
        "Each op with its inputs at AlphaFold 3's sizes, in stretches of rows as the blocks work. "
        "Shares are of the best matrix product and the best copy that this machine reached in the "
        "same run. `auto` is what Itda takes. Differences are from the reference, over its largest "
        "value.",
        "",
        "```sh",
        f"itda bench ops --device {'cpu' if record['device'] == 'cpu' else 'cuda'} "
        f"--dtype {record['dtype']}",
        "```",
        "",
        measured_on(record),
        f"Best matrix product {record['device_peaks']['flops'] / 1e9:,.0f} GFLOP/s, best copy "
        f"{record['device_peaks']['bytes'] / 1e9:,.0f} GB/s.",
        "",
    ]
    rows = []
    for row in record["rows"]:
        for name, one in row["measured"].items():
            compiling = f", {row['compile_seconds']:.0f} s to compile" if name == "compile" else ""
            rows.append(
                [
                    str(row["tokens"]),
                    f"{row['op']} {row['variant']}".strip().replace("_", " "),
                    name + (" (auto)" if name == row["auto_takes"] else "") + compiling,
                    number(one["seconds"]["median"] * 1e3),
                    f"{one['seconds']['spread']:.0%}",
                    f"{one['peak_bytes'] / 1e6:,.1f}",
                    f"{row['reference_over'][name]['seconds']:.2f}",
                    f"{row['share_of_device_peak'][name]['of_matrix_peak']:.0%}",
                    f"{row['share_of_device_peak'][name]['of_bandwidth']:.0%}",
                    f"{row['largest_difference'][name]:.0e}",
                ]
            )
    head = ["tokens", "op", "backend", "ms", "spread", "peak, MB", "reference / it"]
    head += ["of matrix peak", "of bandwidth", "difference"]
    lines += [
        *table(head, rows, left=(1, 2)),
        "",
        "### Trunk blocks, with the ops of each kind",
        "",
    ]
    blocks = [
        [
            str(row["tokens"]),
            row["block"],
            key,
            seconds(one),
            f"{one['seconds']['spread']:.0%}",
            f"{one['peak_bytes'] / 1e6:,.0f}",
            f"{row['reference_over'][key]['seconds']:.2f}",
            number(row["reference_over"][key]["peak_bytes"]),
        ]
        for row in record["blocks"]
        for key, one in row["measured"].items()
    ]
    head = ["tokens", "block", "ops", "seconds", "spread", "peak, MB"]
    head += ["reference / it, s", "reference / it, bytes"]
    lines += [*table(head, blocks, left=(1, 2)), ""]
    return "\n".join(lines)


def _folds(records: Sequence[dict[str, Any]]) -> str:
    lines = [
        "## Whole commands",
        "",
        "`itda fold` of one random protein, from the start of Python to written files, nothing "
        "cached; beside the same command with the plain reference ops "
        "(`ITDA_OPS_BACKEND=reference`). Memory is the peak of the whole process. FlashABB has "
        "none of these ops: its two sides are the same program.",
        "",
        "```sh",
        "itda bench fold mini",
        "```",
        "",
    ]
    for record in records:
        lines += [f"### {record['family']}", "", measured_on(record)]
        rows = [
            [
                str(row["tokens"]),
                seconds(row["ours"]),
                f"{row['ours']['seconds']['spread']:.0%}",
                seconds(row["reference"]),
                f"{row['ratios']['seconds']:.2f}",
                f"{row['ours']['peak_bytes'] / 1e6:,.0f}",
                f"{row['reference']['peak_bytes'] / 1e6:,.0f}",
                f"{row['ratios']['peak_bytes']:.2f}",
            ]
            for row in record["rows"]
        ]
        head = ["residues", "Itda, s", "spread", "reference ops, s", "ratio"]
        lines += [*table([*head, "Itda, MB", "reference ops, MB", "ratio"], rows), ""]
        if record["growth"]:
            lines += [*growth_table(record["growth"]), ""]
    return "\n".join(lines)
