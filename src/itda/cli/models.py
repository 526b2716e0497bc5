"""`itda models`: what each family can fold, made from what the families declare."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from itda.cli import complete


class LanguageChoice(StrEnum):
    """Language of the page."""

    EN = "en"
    KO = "ko"


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            autocompletion=complete.models,
            help="Families, with their own parameters. (default: all)",
        ),
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print JSON in place of the table.")
    ] = False,
    as_markdown: Annotated[
        bool,
        typer.Option("--markdown", help="Print the page of the documentation, docs/families.md."),
    ] = False,
    language: Annotated[
        LanguageChoice, typer.Option(help="Of the page: en or ko.")
    ] = LanguageChoice.EN,
) -> None:
    """List the model families: what each folds, what it gives, and where its weights are."""
    from itda.cli.family_table import family_rows, markdown, parameter_lines, weights_entry
    from itda.models import registry
    from itda.models.choose_parameters import parameter_schemas

    families = [registry.get_family(name) for name in names or registry.FAMILIES]
    if as_markdown:
        typer.echo(markdown(families, language.value), nl=False)
        return
    if json_output:
        entries = [
            {
                "name": family.name,
                "title": family.title,
                "licence": family.licence,
                "citation": family.citation,
                "capabilities": family.capabilities.to_dict(),
                "parameters": parameter_schemas(family),
                "weights": weights_entry(family),
            }
            for family in families
        ]
        typer.echo(json.dumps({"families": entries}, indent=2, ensure_ascii=False))
        return

    from rich.console import Console
    from rich.table import Table

    columns = [family_rows(family) for family in families]
    weights = [weights_entry(family) for family in families]
    table = Table("", *(family.name for family in families))
    for label in columns[0]:
        table.add_row(label, *(column[label] for column in columns))
    table.add_row("weights", *(entry["name"] for entry in weights))
    table.add_row("on this machine", *(entry["state"] for entry in weights))
    console = Console(markup=False, highlight=False)
    console.print(table)
    for family, entry in zip(families, weights, strict=True):
        console.print(f"{family.name}: {family.title}")
        console.print(f"  cite: {family.citation}")
        if entry["state"] == "not here":
            console.print(f"  weights: {entry['how_to_get']}")
        for line in parameter_lines(family):
            console.print(f"  --parameter {line}")
