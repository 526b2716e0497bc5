"""`itda eval`: how well a model folds clusters that it has never seen."""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itda.cli.options import Datasets, TrainingDevice, named_datasets

if TYPE_CHECKING:
    from rich.console import Console

    from itda.train.evaluation.scores import ChainScore

COLUMNS = (
    ("chains", "chains", "{:.0f}"),
    ("CA-lDDT mean", "lddt_ca_mean", "{:.3f}"),
    ("median", "lddt_ca_median", "{:.3f}"),
    ("TM-score mean", "tm_score_mean", "{:.3f}"),
    ("median", "tm_score_median", "{:.3f}"),
    ("pLDDT r, residues", "plddt_correlation_residues", "{:.3f}"),
    ("pLDDT r, chains", "plddt_correlation_chains", "{:.3f}"),
)


def evaluate(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Holds the datasets and the split.")
    ] = Path("data"),
    datasets: Datasets = None,
    split: Annotated[str, typer.Option(help="Name of the split below DIR.")] = "split",
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights of your own. (default: mini's)")
    ] = None,
    device: TrainingDevice = "auto",
    longest: Annotated[int, typer.Option(min=10, help="Longest chain, residues.")] = 400,
    templates: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A table of templates below DIR (`itda data templates`): folds with them as well.",
        ),
    ] = None,
    template_database: Annotated[
        str, typer.Option(help="The dataset below DIR that the templates are taken from.")
    ] = "promod3",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Evaluate the first N chains only.")
    ] = None,
    refine_steps: Annotated[
        int, typer.Option(min=0, help="Of geometry refinement; 0 scores the network alone.")
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Every score and the summary as JSON.")
    ] = None,
) -> None:
    """Fold one chain of each held-out cluster and compare with the experiment.

    Prints mean and median CA-lDDT and TM-score for sequence only and sequence + profile, the
    correlation of predicted with true lDDT, and two baselines. With --templates it also folds with
    templates below 30 % identity, below 50 % and any, beside the best template copied; templates of
    a chain's own PDB entry are never offered.
    """
    from itda.cli.extras import require_extra

    with require_extra("engine"):
        from itda.device import resolve_device
        from itda.models.mini import FAMILY
        from itda.structure.chains.dataset import ChainDataset
        from itda.train.evaluation.evaluate import (
            SEQUENCE_ONLY,
            WITH_PROFILE,
            held_out_chains,
        )
        from itda.train.evaluation.evaluate import evaluate as run
        from itda.train.evaluation.scores import summarise
        from itda.train.evaluation.templates import TemplateEvaluation, summarise_templates
        from itda.train.sampler import ChainPool
        from itda.train.split import Split
        from itda.train.template_table import TemplateTable

    if part not in ("test", "validation"):
        raise typer.BadParameter("choose test or validation", param_hint="--part")
    model = FAMILY.load(weights, resolve_device(device))
    read = Split.read(data / split)
    opened = [ChainDataset.open(data / name) for name in named_datasets(datasets, read)]
    chains = held_out_chains(opened, read, part, longest=longest)[:limit]  # type: ignore[arg-type]
    training = ChainPool.collect(opened, read, "train", min_length=20, side_chains=False)
    offered = None
    if templates is not None:
        database = ChainDataset.open(data / template_database)
        offered = TemplateEvaluation(TemplateTable.open(data / templates, database))
    result = run(
        model,
        chains,
        training=training,
        refine_steps=refine_steps,
        templates=offered,
        report=_Reporter().show,
    )
    summary = summarise(result.scores, result.residue_pairs)
    _print_table(summary)
    by_limit = {}
    if offered is not None:
        by_limit = summarise_templates(
            result.scores, sequence_only=SEQUENCE_ONLY, with_profile=WITH_PROFILE
        )
        _print_templates(by_limit)
    if out is not None:
        document = {
            "weights_sha256": model.card.sha256,
            "split_sha256": read.manifest.get("table_sha256", ""),
            "part": part,
            "refine_steps": refine_steps,
            "summary": summary,
            "templates": {
                "search": {} if offered is None else dict(offered.table.manifest),
                "summary": by_limit,
            },
            "scores": [score.to_dict() for score in result.scores],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        typer.echo(f"every score: {out}")


class _Reporter:
    """A line of progress every few seconds, on standard error."""

    def __init__(self) -> None:
        self._began = self._shown = time.monotonic()

    def show(self, number: int, total: int, score: ChainScore) -> None:
        now = time.monotonic()
        if now - self._shown < 5 and number < total:
            return
        self._shown = now
        left = (now - self._began) / number * (total - number)
        typer.echo(
            f"{number}/{total}  {score.chain}  {score.method}: CA-lDDT {score.lddt_ca:.3f}  "
            f"left {left:.0f} s",
            err=True,
        )


def _print_table(summary: dict[str, dict[str, float]]) -> None:
    from rich.table import Table

    table = Table("method")
    for title, _, _ in COLUMNS:
        table.add_column(title, justify="right")
    for method, row in summary.items():
        # A correlation of a single chain is no number.
        cells = [
            "–" if math.isnan(row.get(key, math.nan)) else shape.format(row[key])
            for _, key, shape in COLUMNS
        ]
        table.add_row(method, *cells)
    _console().print(table)


def _print_templates(summary: dict[str, dict[str, float]]) -> None:
    """Show CA-lDDT / TM-score of each method on the chains that have a template."""
    from rich.table import Table

    methods = ("copied", "sequence", "profile", "templates")
    table = Table("identity of templates", title="chains with a template: CA-lDDT / TM-score")
    for title in ("chains", *methods, "templates - copied", "templates - profile"):
        table.add_column(title, justify="right")
    for label, row in summary.items():
        cells = [f"{row['chains']:.0f}"]
        if row["chains"]:
            cells += [f"{row[f'{m}_lddt_ca']:.3f} / {row[f'{m}_tm_score']:.3f}" for m in methods]
            cells += [
                f"{row[f'gain_over_{rival}_lddt_ca']:+.3f} ± "
                f"{row[f'gain_over_{rival}_lddt_ca_error']:.3f}"
                for rival in ("copied", "profile")
            ]
        table.add_row(label, *cells)
    _console().print(table)


def _console() -> Console:
    """Give the terminal, or where there is none a page as wide as the tables."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 170)
