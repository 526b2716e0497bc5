"""Which crops a step is made of: a pure function of seed and step, which a resumed run repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from itda.errors import DataError
from itda.language import Message
from itda.search.templates.template import Template
from itda.structure.chains.chain import Chain
from itda.structure.chains.dataset import ChainDataset
from itda.train.batch import AnyBatch, Crop
from itda.train.recipe import DataRecipe, Recipe
from itda.train.split import Part, Split
from itda.train.stage import Stage
from itda.train.template_table import TemplateTable
from itda.train.trainable import make_batch

Member = tuple[int, int]
"""Which dataset, and which chain in it."""


@dataclass(frozen=True)
class ChainPool:
    """Chains by cluster; a draw takes a cluster evenly, then a member.

    Attributes:
        datasets: Where the chains are.
        clusters: Members of each cluster.
    """

    datasets: Sequence[ChainDataset]
    clusters: tuple[tuple[Member, ...], ...]

    @staticmethod
    def collect(
        datasets: Sequence[ChainDataset],
        split: Split,
        part: Part,
        *,
        min_length: int,
        side_chains: bool,
    ) -> ChainPool:
        """Gather the chains of one part of a split.

        Args:
            datasets: To take chains from.
            split: Says which cluster and part a chain belongs to.
            part: `train`, `validation` or `test`.
            min_length: Shortest chain, residues.
            side_chains: Whether chains without side chains are left out.
        """
        by_cluster: dict[str, list[Member]] = {}
        for which, dataset in enumerate(datasets):
            for index, chain_id in enumerate(dataset.ids):
                if split.part(chain_id) != part or dataset.lengths[index] < min_length:
                    continue
                if side_chains and not dataset.has_side_chains[index]:
                    continue
                by_cluster.setdefault(split.cluster(chain_id), []).append((which, index))
        return ChainPool(datasets, tuple(tuple(by_cluster[name]) for name in sorted(by_cluster)))

    def draw(self, random: np.random.Generator) -> Member:
        """Draw one chain."""
        members = self.clusters[int(random.integers(len(self.clusters)))]
        return members[int(random.integers(len(members)))]


@dataclass(frozen=True)
class TemplateDraw:
    """Templates for training: other training chains, some below a limit of identity, some none.

    Attributes:
        table: Hits of every chain.
        split: Says which chains may be seen: those of `train`.
        probability: Share of examples that are offered templates.
        identity_limits: One is drawn for each example; only templates below it are offered.
        most: Templates of one example; from 1 to this many are drawn.
        deepest: Hits that are drawn from, the best first.
    """

    table: TemplateTable
    split: Split
    probability: float
    identity_limits: tuple[float, ...]
    most: int
    deepest: int = 20

    def draw(self, chain: Chain, random: np.random.Generator) -> list[Template]:
        """Draw the templates of one example, best first."""
        if random.random() >= self.probability:
            return []
        limit = self.identity_limits[int(random.integers(len(self.identity_limits)))]
        hits = self.table.hits(
            chain.id,
            chain.sequence,
            accept=lambda target, identity: identity < limit and self.split.part(target) == "train",
        )[: self.deepest]
        if not hits:
            return []
        count = min(int(random.integers(1, self.most + 1)), len(hits))
        chosen = sorted(random.choice(len(hits), count, replace=False).tolist())
        return [self.table.template(hits[index]) for index in chosen]


@dataclass(frozen=True)
class StepDataset(Dataset[AnyBatch]):
    """Batches by step number, the share of one process.

    Attributes:
        recipe: Decides stages and probabilities.
        every: Pool of all training chains.
        all_atom: Pool of those with side chains; may be empty.
        templates: Where templates are drawn from; None folds without.
        rank: This process.
        processes: How many share a step.
    """

    recipe: Recipe
    every: ChainPool
    all_atom: ChainPool
    templates: TemplateDraw | None = None
    rank: int = 0
    processes: int = 1

    @staticmethod
    def from_recipe(
        recipe: Recipe,
        datasets: Sequence[ChainDataset],
        split: Split,
        *,
        table: TemplateTable | None = None,
        rank: int = 0,
        processes: int = 1,
    ) -> StepDataset:
        """Collect the pools.

        Raises:
            DataError: No training chain is left, or a batch cannot be shared by the processes.
        """
        pools = [
            ChainPool.collect(
                datasets,
                split,
                "train",
                min_length=recipe.data.min_length,
                side_chains=side_chains,
            )
            for side_chains in (False, True)
        ]
        if not pools[0].clusters:
            raise DataError(
                Message("the split leaves no training chain"), hint=Message("check the split")
            )
        for stage in recipe.stages:
            if stage.batch % processes:
                raise DataError(
                    Message(
                        "a batch of {batch} cannot be shared by {processes} processes",
                        batch=stage.batch,
                        processes=processes,
                    ),
                    hint=Message("take a number of processes that divides it"),
                )
        data = recipe.data
        templates = None
        if table is not None:
            templates = TemplateDraw(
                table,
                split,
                data.template_probability,
                data.template_identity_limits,
                data.most_templates,
            )
        return StepDataset(recipe, pools[0], pools[1], templates, rank, processes)

    def __len__(self) -> int:
        return self.recipe.total_steps

    def __getitem__(self, step: int) -> AnyBatch:
        stage = self.recipe.stage_at(step)
        share = stage.batch // self.processes
        places = range(self.rank * share, (self.rank + 1) * share)
        crops = [self._crop(stage, step, place) for place in places]
        return make_batch(crops, self.recipe.trainable)

    def _crop(self, stage: Stage, step: int, place: int) -> Crop:
        random = np.random.default_rng([self.recipe.seed, step, place])
        data: DataRecipe = self.recipe.data
        wants_side_chains = random.random() < data.all_atom_fraction
        pool = self.all_atom if wants_side_chains and self.all_atom.clusters else self.every
        which, index = pool.draw(random)
        chain = pool.datasets[which][index]
        start = int(random.integers(max(len(chain) - stage.crop, 0) + 1))
        show_profile = random.random() < data.profile_probability
        templates = self.templates.draw(chain, random) if self.templates else ()
        stop = min(start + stage.crop, len(chain))
        return Crop(chain, start, stop, bool(show_profile), templates)


def draw_recycles(recipe: Recipe, step: int) -> int:
    """Give the recycling passes of a step, the same on every process."""
    most = recipe.stage_at(step).recycles
    return int(np.random.default_rng([recipe.seed, step]).integers(most + 1))
