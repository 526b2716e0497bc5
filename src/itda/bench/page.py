"""Pieces of the page of benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def measured_on(record: Mapping[str, Any]) -> str:
    """When, at which commit and on what a record was measured."""
    machine = record["machine"]
    told = " (changed since)" if record["uncommitted_changes"] else ""
    known = machine.get("bfloat16_instructions")
    instructions = "" if known is None else f" ({', '.join(known) or 'no bfloat16'})"
    commit = (record["commit"] or "unknown")[:10]
    return (
        f"Measured {record['measured'][:10]} at commit {commit}{told}: {machine['processor']}"
        f"{instructions}, {machine['cores']} cores, {machine['memory_gigabytes']:g} GB, Python "
        f"{machine['python']}, torch {machine['torch']}.\n"
    )


def growth_table(growth: Mapping[str, Any]) -> list[str]:
    """Fits of seconds and bytes against tokens, a row each."""
    rows = [
        [
            side_name(side),
            of,
            *(f"{value:.3g}" for value in fit["coefficients"]),
            f"{fit['median_error']:.1%}",
            f"{fit['worst_error']:.1%}",
        ]
        for side, fits in growth.items()
        for of, fit in fits.items()
    ]
    head = ["side", "of", "c0", "c1 n", "c2 n²", "c3 n³", "median error", "worst error"]
    return table(head, rows, left=(0, 1))


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = (0,)
) -> list[str]:
    """A table of Markdown; columns stand to the right but those of `left`."""
    rule = ["---" if place in left else "--:" for place in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def number(value: float | None) -> str:
    """Three figures, or whole numbers from 100 on; a dash for none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def side_name(name: str) -> str:
    """Name a side for people."""
    return {"ours": "Itda", "reference": "reference ops"}.get(name, name)


def seconds(one: dict[str, Any]) -> str:
    """The median of a side."""
    return number(one["seconds"]["median"])
