"""`itda train`: a mini model from one's own chains, by a recipe."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itda.cli import complete
from itda.cli.options import TrainingDevice

if TYPE_CHECKING:
    from itda.train.loop import Progress, Trainer


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE.yaml",
            autocompletion=complete.recipes,
            help="A file, or mini.yaml or mini-cpu.yaml.",
        ),
    ],
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Holds the recipe's datasets and split.")
    ] = Path("data"),
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The run; one that is there goes on. (default: runs/NAME)"
        ),
    ] = None,
    device: TrainingDevice = "auto",
    devices: Annotated[
        int, typer.Option(min=1, help="Processes on this machine; start them with torchrun.")
    ] = 1,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="Stop with a checkpoint after so long; the same call goes on."),
    ] = None,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0.0, help="Time between checkpoints.")
    ] = 2.0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of each process. (default: PyTorch's)")
    ] = None,
) -> None:
    """Train a mini model.

    The run folder gets checkpoints, metrics.jsonl, metrics.csv, metrics.png and, at the end,
    NAME.safetensors with its card. A run that was killed goes on from its last checkpoint and gives
    the same losses as one that was not. Exit status: 0 done, 2 stopped before its end.
    """
    from itda.cli.extras import require_extra

    with require_extra("train"):
        import lightning_fabric  # noqa: F401
        import torch

        from itda.train.export import export_weights
        from itda.train.loop import Trainer
        from itda.train.recipe import read_recipe

    if threads is not None:
        torch.set_num_threads(threads)
    read = read_recipe(recipe)
    run = out or Path("runs") / read.name
    trainer = Trainer(
        read,
        data=data,
        run=run,
        accelerator=device,
        devices=devices,
        checkpoint_minutes=checkpoint_minutes,
    )
    if trainer.fabric.is_global_zero:
        _announce(trainer, run)
    done = trainer.train(
        report=_print_progress if trainer.fabric.is_global_zero else lambda _: None,
        minutes=math.inf if minutes is None else minutes,
    )
    if trainer.fabric.is_global_zero:
        if trainer.step:
            trainer.metrics.write_table(run / "metrics.csv")
            trainer.metrics.plot(run / "metrics.png")
        if done:
            weights = run / f"{read.name}.safetensors"
            card = export_weights(trainer, weights)
            typer.echo(f"done: {weights} (sha256 {card.sha256[:16]}…)")
        else:
            typer.echo(
                f"stopped at step {trainer.step} of {read.total_steps}; the same call goes on"
            )
    if not done:
        raise typer.Exit(2)


def _announce(trainer: Trainer, run: Path) -> None:
    recipe = trainer.recipe
    parameters = sum(p.numel() for p in trainer.network.parameters())
    clusters = len(trainer.steps.every.clusters)
    start = f"going on at step {trainer.step}" if trainer.step else "starting"
    typer.echo(
        f"{recipe.name}: {parameters / 1e6:.2f} M parameters, {recipe.total_steps} steps, "
        f"{clusters} training clusters ({len(trainer.steps.all_atom.clusters)} with side chains), "
        f"{trainer.fabric.world_size} process(es) on {trainer.fabric.device.type}; {start} in {run}"
    )


def _print_progress(progress: Progress) -> None:
    minutes, seconds = divmod(int(progress.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    line = (
        f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  "
        f"{progress.examples_per_second:.1f} examples/s  left {hours}:{minutes:02d}:{seconds:02d}"
    )
    if progress.validation is not None:
        line += f"  validation CA-lDDT {progress.validation:.3f}"
    typer.echo(line)
