"""The training loop: one process or several, killed and resumed at any step."""

from __future__ import annotations

import functools
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import lightning_fabric as fabric_package
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from itda.errors import DataError
from itda.language import Message
from itda.structure.chains.dataset import ChainDataset
from itda.train.batch import AnyBatch
from itda.train.checkpoint import Checkpoints
from itda.train.metrics import MetricsLog
from itda.train.recipe import Recipe
from itda.train.sampler import ChainPool, StepDataset, draw_recycles
from itda.train.split import Split
from itda.train.stage import Stage
from itda.train.template_table import TemplateTable
from itda.train.trainable import AnyTrainable
from itda.train.validate import validation_scores
from itda.train.warm_start import initial_weights, start_from, with_sizes

Value = TypeVar("Value")

LOG_EVERY_SECONDS = 5.0


@dataclass(frozen=True)
class Progress:
    """One line of a run's progress.

    Attributes:
        step: Steps done.
        steps: Steps of the recipe.
        loss: Of the last step.
        examples_per_second: Over the last interval, all processes together.
        seconds_left: At that speed.
        validation: CA-lDDT on validation chains, where it was just computed.
    """

    step: int
    steps: int
    loss: float
    examples_per_second: float
    seconds_left: float
    validation: float | None = None


class Trainer:
    """Trains a family by a recipe into a run folder.

    Args:
        recipe: Decides everything that changes the outcome.
        data: Folder that holds the recipe's datasets and split.
        run: Where checkpoints, metrics and weights go; a run that is there goes on.
        accelerator: `auto`, `cpu`, `cuda` or `mps`.
        devices: Processes on this machine; several are started by `torchrun`.
        checkpoint_minutes: Between checkpoints.

    Raises:
        DataError: The data is missing, or the run folder belongs to another recipe.
        WeightsError: The weights to go on from are missing or of other sizes.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        data: Path,
        run: Path,
        accelerator: str = "auto",
        devices: int | str = 1,
        checkpoint_minutes: float = 2.0,
    ) -> None:
        weights = initial_weights(recipe, data)
        self.recipe = recipe = with_sizes(recipe, weights)
        self.run_folder = run
        self.checkpoint_seconds = 60 * checkpoint_minutes
        self.fabric = fabric_package.Fabric(
            accelerator=accelerator,
            devices=devices,
            precision=recipe.precision,
            strategy="ddp_find_unused_parameters_true" if _several(devices) else "auto",
        )
        self.fabric.launch()
        self.datasets = [ChainDataset.open(data / name) for name in recipe.data.datasets]
        self.split = Split.read(data / recipe.data.split)
        self.templates = _template_table(recipe, data)
        self.steps = StepDataset.from_recipe(
            recipe,
            self.datasets,
            self.split,
            table=self.templates,
            rank=self.fabric.global_rank,
            processes=self.fabric.world_size,
        )
        self.validation = ChainPool.collect(
            self.datasets,
            self.split,
            "validation",
            min_length=recipe.data.min_length,
            side_chains=False,
        )
        self.fabric.seed_everything(recipe.seed, verbose=False)
        assert recipe.model is not None
        self.trainable = recipe.trainable
        self.network: nn.Module = self.trainable.network(recipe.model)
        self.started_from: dict[str, Any] = {}
        if weights is not None:
            self.started_from = start_from(self.network, weights, family=recipe.family)
        self.average = AveragedModel(
            self.network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay)
        ).to(self.fabric.device)
        self.model, self.optimiser = self.fabric.setup(
            _NetworkAndLoss(self.network, self.trainable), self._optimiser()
        )
        if recipe.compile:
            for module in self.trainable.compiled(self.network):
                module.compile()
        self.checkpoints = Checkpoints(run / "checkpoints")
        self.metrics = MetricsLog(run / "metrics.jsonl", write=self.fabric.is_global_zero)
        self.step = 0
        self._resume()

    def train(
        self,
        *,
        report: Callable[[Progress], None] = lambda _: None,
        minutes: float = math.inf,
    ) -> bool:
        """Train until the recipe is done, the time is over, or SIGTERM or Ctrl-C asks to stop.

        Args:
            report: Called every few seconds.
            minutes: After which a checkpoint is written and training stops.

        Returns:
            Whether the recipe is done; otherwise the same call goes on from here.
        """
        deadline = time.monotonic() + 60 * minutes
        clock = _Clock(self.checkpoint_seconds)
        with _stop_request() as stop_asked:
            batches = self._batches()
            while not self._finished:
                loss, parts = self._train_step(self._together(lambda: next(batches)))
                self.step += 1
                clock.count(self.recipe.stage_at(self.step - 1).batch)
                self._together(functools.partial(self._account, loss, parts, clock, report))
                if self._agree(stop_asked() or time.monotonic() > deadline) and not self._finished:
                    break
                if clock.should_save():
                    self._save()
        self._save()
        return self._finished

    def _account(
        self,
        loss: float,
        parts: dict[str, float],
        clock: _Clock,
        report: Callable[[Progress], None],
    ) -> None:
        """Validate where it is time to, note the step, and report."""
        score = None
        if self.step % self.recipe.validate_every == 0 or self._finished:
            score = self._validate()
        self.metrics.add(self.step, loss, parts, self._learning_rate(self.step - 1), score)
        if score is not None or clock.should_report() or self._finished:
            report(self._progress(loss, clock, score))

    @property
    def _finished(self) -> bool:
        return self.step >= self.recipe.total_steps

    @property
    def examples_seen(self) -> int:
        """Crops that the steps so far were made of, all processes together."""
        return sum(self.recipe.stage_at(step).batch for step in range(self.step))

    def averaged_network(self) -> nn.Module:
        """Give the network with averaged weights, for evaluation and export."""
        return self.average.module.eval()

    def _optimiser(self) -> torch.optim.Optimizer:
        schedule = self.recipe.schedule
        groups = self.trainable.parameter_groups(self.network, weight_decay=schedule.weight_decay)
        return torch.optim.AdamW(groups, lr=schedule.peak, betas=(0.9, 0.99), eps=1e-8)

    def _train_step(self, batch: AnyBatch) -> tuple[float, dict[str, float]]:
        stage = self.recipe.stage_at(self.step)
        torch.manual_seed(_seed(self.recipe.seed, self.step, self.fabric.global_rank))
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate(self.step)
        self.model.train()
        batch = batch.to(self.fabric.device)
        recycles = draw_recycles(self.recipe, self.step)
        total, parts = self._together(lambda: self._loss(batch, stage, recycles))
        self.optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(total)
        self.fabric.clip_gradients(
            self.model, self.optimiser, max_norm=self.recipe.schedule.clip, error_if_nonfinite=False
        )
        self.optimiser.step()
        self.average.update_parameters(self.network)
        names = list(parts)
        values = torch.stack([total.detach(), *(parts[name].detach() for name in names)])
        if self.fabric.world_size > 1:
            values = cast(Tensor, self.fabric.all_reduce(values, reduce_op="mean"))
        numbers = values.tolist()
        return numbers[0], dict(zip(names, numbers[1:], strict=True))

    def _loss(
        self, batch: AnyBatch, stage: Stage, recycles: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the network and refuse a loss that is not finite.

        Raises:
            DataError: It is not.
        """
        total, parts = self.model(lambda: batch, stage, recycles)
        if not math.isfinite(total.item()):
            raise DataError(
                Message("the loss is {total} at step {step}", total=total.item(), step=self.step),
                hint=Message("resume from the last checkpoint with a lower schedule.peak"),
            )
        return total, parts

    def _learning_rate(self, step: int) -> float:
        schedule, steps = self.recipe.schedule, self.recipe.total_steps
        rising = min(1.0, (step + 1) / max(schedule.warmup, 1))
        decay_steps = schedule.decay_fraction * steps
        into = max(0.0, step - (steps - decay_steps)) / max(decay_steps, 1)
        return schedule.peak * rising * 0.5 * (1 + math.cos(math.pi * into))

    def _batches(self) -> Iterator[AnyBatch]:
        workers = self.recipe.workers
        return iter(
            DataLoader(
                self.steps,
                batch_size=None,
                sampler=range(self.step, self.recipe.total_steps),
                num_workers=workers,
                prefetch_factor=4 if workers else None,
            )
        )

    def _validate(self) -> float:
        scores = validation_scores(
            self.averaged_network(),
            self.trainable,
            self.validation,
            most=self.recipe.validation_chains,
            templates=self.templates,
        )
        return float(np.mean(scores)) if scores else math.nan

    def _progress(self, loss: float, clock: _Clock, score: float | None) -> Progress:
        left = sum(
            self.recipe.stage_at(step).batch for step in range(self.step, self.recipe.total_steps)
        )
        speed = clock.examples_per_second()
        return Progress(
            self.step, self.recipe.total_steps, loss, speed, left / max(speed, 1e-9), score
        )

    def _save(self) -> None:
        def save() -> None:
            if not self.fabric.is_global_zero:
                return
            self.metrics.flush()
            self.checkpoints.save(
                self.step,
                {
                    "recipe": self.recipe.digest,
                    "step": self.step,
                    "network": self.network.state_dict(),
                    "average": self.average.state_dict(),
                    "optimiser": self.optimiser.state_dict(),
                },
            )

        self._together(save)

    def _resume(self) -> None:
        state = self.checkpoints.latest()
        if state is None:
            self.metrics.truncate(0)
            return
        if state["recipe"] != self.recipe.digest:
            raise DataError(
                Message("{run_folder} was trained by another recipe", run_folder=self.run_folder),
                hint=Message("give another {--out}, or the recipe that it began with"),
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]
        self.metrics.truncate(self.step)

    def _together(self, work: Callable[[], Value]) -> Value:
        """Do what each process does by itself; where one of them fails, all do.

        The others would wait for it for ever at the next thing that they do in common.

        Raises:
            DataError: Another process failed.
            Exception: Whatever this one failed of.
        """
        failure: Exception | None = None
        try:
            value = work()
        except Exception as error:
            failure = error
        if self._agree(failure is not None):
            raise failure or DataError(
                Message("another process of this training failed at step {step}", step=self.step),
                hint=Message("its own message says why"),
            )
        return value

    def _agree(self, stop: bool) -> bool:
        """Say on every process whether it is so on one."""
        if self.fabric.world_size == 1:
            return stop
        asked = torch.tensor(float(stop), device=self.fabric.device)
        total = cast(Tensor, self.fabric.all_reduce(asked, reduce_op="sum"))
        return total.item() > 0


class _NetworkAndLoss(nn.Module):
    """The forward pass that processes share: from a batch to its loss."""

    def __init__(self, network: nn.Module, trainable: AnyTrainable) -> None:
        super().__init__()
        self.network = network
        self.trainable = trainable

    def forward(
        self, batch_of: Callable[[], AnyBatch], stage: Stage, recycles: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Take the batch behind a call: Fabric would round coordinates it sees to bfloat16."""
        return self.trainable.losses(self.network, batch_of(), stage, recycles=recycles)


class _Clock:
    """Speed over the time since the last report, and when to report and save."""

    def __init__(self, checkpoint_seconds: float) -> None:
        self._checkpoint_seconds = checkpoint_seconds
        self._saved = self._reported = time.monotonic()
        self._examples = 0

    def count(self, examples: int) -> None:
        self._examples += examples

    def should_report(self) -> bool:
        return time.monotonic() - self._reported > LOG_EVERY_SECONDS

    def should_save(self) -> bool:
        now = time.monotonic()
        if now - self._saved < self._checkpoint_seconds:
            return False
        self._saved = now
        return True

    def examples_per_second(self) -> float:
        now = time.monotonic()
        speed = self._examples / max(now - self._reported, 1e-9)
        self._reported, self._examples = now, 0
        return speed


@contextmanager
def _stop_request() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and Ctrl-C into a question that the loop asks after each step."""
    asked = []
    previous = {
        number: signal.signal(number, lambda *_: asked.append(True))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _seed(*numbers: int) -> int:
    return int(np.random.SeedSequence(list(numbers)).generate_state(1)[0])


def _template_table(recipe: Recipe, data: Path) -> TemplateTable | None:
    if recipe.data.templates is None or recipe.data.template_database is None:
        return None
    database = ChainDataset.open(data / recipe.data.template_database)
    return TemplateTable.open(data / recipe.data.templates, database)


def _several(devices: int | str) -> bool:
    return str(devices) not in ("1", "auto")
