"""What `itda compare` prints for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from itda.cli.output import print_table

if TYPE_CHECKING:
    from rich.table import Table

    from itda.structure.compare import Comparison

_RESIDUES_TO_NAME = 12


def print_comparison(comparison: Comparison, notes: Sequence[str], *, residues: bool) -> None:
    """Print the scores of one model, its chains, and what was not compared."""
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    console.print(_score_table(comparison))
    if _is_partial(comparison):
        console.print(escape(_explanation(comparison)))
    console.print(_chain_table(comparison))
    if residues:
        console.print(_residue_table(comparison))
    for side, unmatched in (
        ("reference", comparison.reference_only),
        ("model", comparison.model_only),
    ):
        if unmatched:
            more = len(unmatched) - _RESIDUES_TO_NAME
            shown = ", ".join(unmatched[:_RESIDUES_TO_NAME]) + (
                f", {more} more" if more > 0 else ""
            )
            console.print(escape(f"only in the {side} ({len(unmatched)}): {shown}"))
    for note in (*notes, *comparison.notes):
        console.print(escape(note), style="dim")


def print_overview(
    done: Sequence[tuple[Path, Comparison, Sequence[str]]], *, residues: bool
) -> None:
    """Print a line for each of several models; with `residues` all of each instead."""
    if residues:
        for path, comparison, notes in done:
            print(f"{path}:")
            print_comparison(comparison, notes, residues=True)
        return
    partial = any(_is_partial(comparison) for _, comparison, _ in done)
    heads = ["model", "lDDT-CA", "lDDT", "TM-score", "GDT-TS", "RMSD-CA (Å)", "matched"]
    if partial:
        heads += ["lDDT-CA of the part", "TM-score of the part", "GDT-TS of the part"]
    rows = [tuple(heads)]
    for path, comparison, _ in done:
        part = comparison.matched_part
        cells = [
            str(path),
            shown(comparison.lddt_ca),
            shown(comparison.lddt_all_atom),
            shown(comparison.tm_score),
            shown(comparison.gdt_ts),
            f"{comparison.rmsd_ca_angstrom:.2f}",
            f"{comparison.n_aligned} of {_reference_length(comparison)}",
        ]
        if partial:
            cells += [shown(part.lddt_ca), shown(part.tm_score), shown(part.gdt_ts)]
        rows.append(tuple(cells))
    print_table(rows)
    if partial:
        print(
            "Residues that a model lacks lower its scores. Those of the part are over the residues "
            "alone that model and reference both have."
        )
    noted = sum(bool(notes or comparison.notes) for _, comparison, notes in done)
    if noted:
        print(f"{noted} of {len(done)} have notes: see --residues or --json.")


def shown(value: float | None, *, places: int = 3) -> str:
    """Give a score for people, `-` for none."""
    return "-" if value is None else f"{value:.{places}f}"


def _is_partial(comparison: Comparison) -> bool:
    return comparison.n_aligned < _reference_length(comparison)


def _reference_length(comparison: Comparison) -> int:
    return sum(one.reference_length for one in comparison.chains)


def _explanation(comparison: Comparison) -> str:
    total = _reference_length(comparison)
    lacking = total - comparison.n_aligned
    return (
        f"whole reference: its {total} residues, of which the {lacking} that the model lacks count "
        f"as wrong. matched part: the {comparison.n_aligned} residues alone that both have."
    )


def _score_table(comparison: Comparison) -> Table:
    from rich.table import Table

    partial = _is_partial(comparison)
    values = ("whole reference", "matched part") if partial else ("value",)
    table = Table("score", *values, "meaning", title="Model against reference")
    part = comparison.matched_part
    for name, whole, of_part, meaning in (
        ("lDDT-CA", comparison.lddt_ca, part.lddt_ca, "local distances of CA kept, 0 to 1"),
        (
            "lDDT",
            comparison.lddt_all_atom,
            part.lddt_all_atom,
            "local distances of all heavy atoms kept, 0 to 1",
        ),
        ("TM-score", comparison.tm_score, part.tm_score, "0 to 1; above 0.5 the same fold"),
        ("GDT-TS", comparison.gdt_ts, part.gdt_ts, "CA within 1, 2, 4 and 8 Å, 0 to 1"),
    ):
        table.add_row(name, shown(whole), *([shown(of_part)] if partial else []), meaning)
    length = f"{comparison.rmsd_ca_angstrom:.2f} Å"
    table.add_row("RMSD-CA", *(["", length] if partial else [length]), "of matched CA, superposed")
    matched = f"{comparison.n_aligned} of {_reference_length(comparison)}"
    coverage = f"coverage {comparison.coverage:.1%}"
    table.add_row("matched", matched, *([""] if partial else []), coverage)
    return table


def _chain_table(comparison: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("reference chain", "model chain", "matched", "identity")
    for one in comparison.chains:
        lengths = f"{one.matched} of {one.reference_length} and {one.model_length}"
        names = (escape(name) if name else "(no name)" for name in (one.reference, one.model))
        table.add_row(*names, lengths, f"{one.identity:.1%}")
    return table


def _residue_table(comparison: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("reference", "model", "lDDT-CA", "lDDT", "CA distance (Å)", "model B-factor")
    for one in comparison.per_residue:
        table.add_row(
            escape(one.reference),
            escape(one.model),
            shown(one.lddt_ca),
            shown(one.lddt_all_atom),
            shown(one.ca_distance_angstrom, places=2),
            shown(one.model_b_factor, places=1),
        )
    return table
