"""`itda compare`: how like a reference structure a model is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itda.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from itda.structure.compare import Comparison

_RESIDUES_TO_NAME = 12


def compare(
    reference: Annotated[Path, typer.Argument(help="The structure taken as true.")],
    model: Annotated[Path, typer.Argument(help="The structure to score.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything, each residue too, as JSON.")
    ] = False,
    residues: Annotated[
        bool, typer.Option("--residues", help="Print the scores of each residue.")
    ] = False,
    chain: Annotated[
        list[str] | None,
        typer.Option(
            "--chain",
            metavar="REFERENCE:MODEL",
            help="Pair these chains instead of finding pairs by sequence; may be given again.",
        ),
    ] = None,
    by_number: Annotated[
        bool,
        typer.Option("--by-number", help="Match residues by number instead of aligning sequences."),
    ] = False,
    reference_model: Annotated[
        int, typer.Option(min=1, help="Which model of the reference file.")
    ] = 1,
    model_model: Annotated[int, typer.Option(min=1, help="Which model of the file to score.")] = 1,
) -> None:
    """Compare two structures: lDDT, TM-score, GDT-TS and RMSD.

    Files may be mmCIF, BinaryCIF or PDB, gzipped or not. Proteins are compared; other molecules and
    unmatched residues are named.
    """
    from itda.structure.compare import compare as compare_structures
    from itda.structure.files import open_structure

    opened = [
        open_structure(reference, model=reference_model, hydrogens=False),
        open_structure(model, model=model_model, hydrogens=False),
    ]
    comparison = compare_structures(
        opened[0].atoms,
        opened[1].atoms,
        chains=_chain_pairs(chain) if chain else None,
        by_number=by_number,
    )
    notes = [f"{one.path.name}: {note}" for one in opened for note in one.notes]
    if as_json:
        found = comparison.to_dict()
        found["notes"] = [*notes, *found["notes"]]
        typer.echo(
            json.dumps({"reference": str(reference), "model": str(model), **found}, indent=2)
        )
        return
    _print(comparison, notes, residues=residues)


def _chain_pairs(pairs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        first, colon, second = pair.partition(":")
        if not colon or not first or not second:
            raise InputError(
                f"--chain {pair!r} is not a pair of chains", hint="write it as --chain A:B"
            )
        if first in found:
            raise InputError(
                f"--chain pairs chain {first!r} of the reference twice", hint="pair each chain once"
            )
        found[first] = second
    return found


def _print(comparison: Comparison, notes: list[str], *, residues: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    scores = Table("score", "value", "meaning", title="Model against reference")
    total = sum(one.reference_length for one in comparison.chains)
    for name, value, meaning in (
        ("lDDT-CA", _shown(comparison.lddt_ca), "local distances of CA kept, 0 to 1"),
        (
            "lDDT",
            _shown(comparison.lddt_all_atom),
            "local distances of all heavy atoms kept, 0 to 1",
        ),
        ("TM-score", _shown(comparison.tm_score), "0 to 1; above 0.5 the same fold"),
        ("GDT-TS", _shown(comparison.gdt_ts), "CA within 1, 2, 4 and 8 Å, 0 to 1"),
        ("RMSD-CA", f"{comparison.rmsd_ca_angstrom:.2f} Å", "of matched CA, superposed"),
        ("matched", f"{comparison.n_aligned} of {total}", f"coverage {comparison.coverage:.1%}"),
    ):
        scores.add_row(name, value, meaning)
    console.print(scores)
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


def _chain_table(comparison: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("reference chain", "model chain", "matched", "identity")
    for one in comparison.chains:
        lengths = f"{one.matched} of {one.reference_length} and {one.model_length}"
        table.add_row(escape(one.reference), escape(one.model), lengths, f"{one.identity:.1%}")
    return table


def _residue_table(comparison: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("reference", "model", "lDDT-CA", "lDDT", "CA distance (Å)", "model B-factor")
    for one in comparison.per_residue:
        table.add_row(
            escape(one.reference),
            escape(one.model),
            _shown(one.lddt_ca),
            _shown(one.lddt_all_atom),
            _shown(one.ca_distance_angstrom, places=2),
            _shown(one.model_b_factor, places=1),
        )
    return table


def _shown(value: float | None, *, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"
