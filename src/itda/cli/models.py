"""`itda models`: what each family can fold, made from what the families declare."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer


def models(
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of the table.")
    ] = False,
) -> None:
    """List the model families and what each can fold."""
    from itda.models.registry import FAMILIES, get_family

    families = [get_family(name) for name in FAMILIES]
    if json_output:
        entries = [
            {
                "name": family.name,
                "title": family.title,
                "licence": family.licence,
                "citation": family.citation,
                "capabilities": family.capabilities.to_dict(),
            }
            for family in families
        ]
        typer.echo(json.dumps({"families": entries}, indent=2, ensure_ascii=False))
        return

    from rich.console import Console
    from rich.table import Table

    columns = [capability_rows(family.capabilities.to_dict()) for family in families]
    table = Table("", *(family.name for family in families))
    for label in dict.fromkeys(label for column in columns for label in column):
        table.add_row(label, *(column.get(label, "–") for column in columns))
    table.add_row("licence of weights", *(family.licence for family in families))
    console = Console(markup=False, highlight=False)
    console.print(table)
    for family in families:
        console.print(f"{family.name}: {family.title}")
        console.print(f"  cite: {family.citation}")


def capability_rows(capabilities: dict[str, Any]) -> dict[str, str]:
    """The rows of a family's column in the matrix, from `Capabilities.to_dict`.

    >>> capability_rows({"molecules": ["protein"], "max_chains": 1, "bonds": False})
    {'molecules': 'protein', 'max chains': '1', 'bonds': 'no'}
    """
    return {name.replace("_", " "): _cell(value) for name, value in capabilities.items()}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "no limit"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return str(value)
