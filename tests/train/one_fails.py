"""A training in which one process fails of something that the others know nothing of.

    torchrun --nproc-per-node 2 one_fails.py HOW RECIPE DATA RUN

Each process writes what it failed of to `RUN-RANK`.
"""

import os
import sys
from pathlib import Path

import torch

from itda.train import loop
from itda.train.checkpoint import Checkpoints
from itda.train.recipe import read_recipe

FAILS_AT_STEP = 2


def main() -> None:
    how, recipe, data, run = sys.argv[1:]
    rank = int(os.environ["RANK"])
    trainer = loop.Trainer(
        read_recipe(Path(recipe)), data=Path(data), run=Path(run), accelerator="cpu", devices=2
    )
    losses, batches = trainer.trainable.losses, trainer._batches

    def nan(*given, **named):
        total, parts = losses(*given, **named)
        bad = rank == 1 and trainer.step == FAILS_AT_STEP
        return (total * torch.nan if bad else total), parts

    def damaged():
        for number, batch in enumerate(batches()):
            if rank == 1 and number == FAILS_AT_STEP:
                raise ValueError("a chain cannot be read")
            yield batch

    def full(*_given):
        raise OSError(28, "No space left on device")

    if how == "loss":
        trainer.trainable.losses = nan
    elif how == "batch":
        trainer._batches = damaged
    else:
        Checkpoints.save = full
    try:
        trainer.train()
    except Exception as error:
        Path(f"{run}-{rank}").write_text(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
