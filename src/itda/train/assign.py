"""Draw validation and test clusters, and take out what resembles them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from itda.errors import DataError
from itda.language import Message, joined
from itda.search.mmseqs import (
    COVERAGE,
    E_VALUE,
    SENSITIVITY,
    Hit,
    cluster_sequences,
    mmseqs_version,
    search_sequences,
)
from itda.structure.chains.dataset import ChainDataset
from itda.train.split import Part, Split, cluster_names

HOLD_OUT_ITERATIONS = 3
EXCLUSION_E_VALUE = 100 * E_VALUE

MOST_TEST, TEST_SHARE = 250, 10
MOST_VALIDATION, VALIDATION_SHARE = 100, 20
"""Of few clusters, one in so many is held out."""

Search = Callable[..., list[Hit]]


@dataclass(frozen=True)
class SplitSettings:
    """How chains are clustered and which clusters are held out.

    Attributes:
        identity: Chains of different parts resemble each other less than this, 0..1.
        test: Test clusters to draw, beside those of the held-out sequences; None for 250, or one in
            ten where few are fit.
        test_side_chains: How many of them, at least, have an evaluation chain with side chains.
        validation: Validation clusters to draw; None for 100, or one in twenty.
        minimum_length: Fewest residues of an evaluation chain.
        maximum_length: Most residues of an evaluation chain.
        maximum_resolution_angstrom: Worst resolution of an evaluation chain.
        any_resolution: Whether a chain whose resolution nobody says may be one too.
        coverage: Part of both sequences that must align for a cluster.
        sensitivity: MMseqs2's -s.
        e_value: Largest E-value at which two chains count as alike. A hundred times what
            `itda data check` takes for leakage, since an E-value grows with the number of chains
            searched: no later check of a part of these chains meets what this one let pass.
        seed: Seed of the draw.
    """

    identity: float = 0.3
    test: int | None = None
    test_side_chains: int = 50
    validation: int | None = None
    minimum_length: int = 40
    maximum_length: int = 400
    maximum_resolution_angstrom: float = 2.8
    any_resolution: bool = False
    coverage: float = COVERAGE
    sensitivity: float = SENSITIVITY
    e_value: float = EXCLUSION_E_VALUE
    seed: int = 0


@dataclass(frozen=True)
class _Record:
    """What the draw needs to know of one chain of one dataset."""

    id: str
    sequence: str
    resolution: float
    side_chains: bool
    unfit: str


def split_datasets(
    datasets: Sequence[ChainDataset],
    *,
    settings: SplitSettings | None = None,
    hold_out: Sequence[str] = (),
    threads: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Split:
    """Cluster all chains together and split them by cluster.

    1. Clusters at `identity` by MMseqs2; clusters that share a chain id become one.
    2. Clusters with a chain that resembles a held-out sequence go to test: those that a search of
       three iterations finds, whatever their identity.
    3. Test and validation clusters are drawn at random, each with a chain fit for evaluation:
       length, resolution, and an experiment.
    4. A sensitive search with all chains of test, then of validation, takes every chain of another
       part that is alike at `identity` or more out of that part: it becomes `excluded`.

    Args:
        datasets: All datasets that will be used together.
        settings: How to cluster and draw.
        hold_out: Sequences whose homologues never enter training.
        threads: Processor cores for MMseqs2.
        progress: Called with the name of each step.

    Raises:
        DataError: Too few clusters are fit for evaluation.
        DependencyError: MMseqs2 is not installed.
    """
    settings = settings or SplitSettings()
    say = progress or (lambda _: None)
    records = [record for dataset in datasets for record in _records(dataset, settings)]
    sequences = [record.sequence for record in records]
    say("clustering")
    representatives = cluster_sequences(
        sequences,
        identity=settings.identity,
        coverage=settings.coverage,
        sensitivity=settings.sensitivity,
        threads=threads,
    )
    names = cluster_names([record.id for record in records], representatives.tolist())
    say("searching the held-out sequences")
    held_hits = search_sequences(
        hold_out,
        sequences,
        iterations=HOLD_OUT_ITERATIONS,
        sensitivity=settings.sensitivity,
        threads=threads,
    )
    held = {names[hit.target] for hit in held_hits}
    test, validation = _draw(records, names, held, settings)
    parts = _first_parts(records, names, test | held, validation)
    say("searching what resembles test and validation")
    _exclude(records, parts, settings, threads)
    members = {
        record.id: (name, parts[record.id]) for record, name in zip(records, names, strict=True)
    }
    manifest = {
        "settings": asdict(settings),
        "tool": {"name": "MMseqs2", "version": mmseqs_version(), "coverage_mode": 0},
        "hold_out": list(hold_out),
        "hold_out_homologues": sorted({records[hit.target].id for hit in held_hits}),
        "datasets": [_identity(dataset) for dataset in datasets],
    }
    return Split(members, _representatives(records, members), manifest)


def _records(dataset: ChainDataset, settings: SplitSettings) -> list[_Record]:
    # A dataset may know a limit for all of its chains and not the resolution of each.
    limit = float(dataset.manifest["source"].get("resolution_limit_angstrom", 0.0))
    result = []
    for index, chain_id in enumerate(dataset.ids):
        resolution = float(dataset.resolutions[index]) or limit
        result.append(
            _Record(
                id=chain_id,
                sequence=dataset.sequence(index),
                resolution=resolution,
                side_chains=bool(dataset.has_side_chains[index]),
                unfit=_unfit(int(dataset.lengths[index]), resolution, settings),
            )
        )
    return result


def _unfit(length: int, resolution: float, settings: SplitSettings) -> str:
    """Say why a chain is not fit for evaluation; "" where it is."""
    if not settings.minimum_length <= length <= settings.maximum_length:
        return f"not of {settings.minimum_length} to {settings.maximum_length} residues"
    if not resolution and not settings.any_resolution:
        return "without a resolution"
    if resolution > settings.maximum_resolution_angstrom:
        return f"worse than {settings.maximum_resolution_angstrom:g} Å"
    return ""


def _draw(
    records: Sequence[_Record], names: Sequence[str], held: set[str], settings: SplitSettings
) -> tuple[set[str], set[str]]:
    fit: dict[str, bool] = {}
    for record, name in zip(records, names, strict=True):
        if not record.unfit and name not in held:
            fit[name] = fit.get(name, False) or record.side_chains
    test = _count(settings.test, len(fit), MOST_TEST, TEST_SHARE)
    validation = _count(settings.validation, len(fit), MOST_VALIDATION, VALIDATION_SHARE)
    if len(fit) <= test + validation:
        raise _too_few(records, len(fit), test, validation)
    random = np.random.default_rng(settings.seed)
    order = [sorted(fit)[index] for index in random.permutation(len(fit))]
    with_side_chains = [name for name in order if fit[name]][: settings.test_side_chains]
    drawn = set(with_side_chains[:test])
    rest = [name for name in order if name not in drawn]
    missing = test - len(drawn)
    return drawn | set(rest[:missing]), set(rest[missing : missing + validation])


def _count(asked: int | None, fit: int, most: int, share: int) -> int:
    return min(most, max(1, fit // share)) if asked is None else asked


def _too_few(records: Sequence[_Record], fit: int, test: int, validation: int) -> DataError:
    reasons = Counter(record.unfit for record in records if record.unfit)
    told = "; ".join(f"{count} chains are {reason}" for reason, count in reasons.most_common())
    ways = [
        way
        for way, reason in (
            ("--any-resolution takes chains without a resolution", "without a resolution"),
            ("--max-resolution, --min-length and --max-length say which are fit", ""),
        )
        if reason in reasons or (not reason and set(reasons) - {"without a resolution"})
    ]
    return DataError(
        Message(
            "{fit} clusters have a chain fit for evaluation, but {test} for the test and "
            "{validation} for validation are to be held out and some must be left to train "
            "on{what}",
            fit=fit,
            test=test,
            validation=validation,
            what=Message("; {told}", told=told) if told else "",
        ),
        hint=joined([*ways, "--test and --validation say how many are held out"], ";"),
    )


def _first_parts(
    records: Sequence[_Record], names: Sequence[str], test: set[str], validation: set[str]
) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    for record, name in zip(records, names, strict=True):
        parts[record.id] = (
            "test" if name in test else "validation" if name in validation else "train"
        )
    return parts


def _exclude(
    records: Sequence[_Record],
    parts: dict[str, Part],
    settings: SplitSettings,
    threads: int,
) -> None:
    inner: tuple[Part, ...]
    for part, inner in (("test", ("test",)), ("validation", ("test", "validation"))):
        targets = [record for record in records if parts[record.id] not in (*inner, "excluded")]
        hits = search_sequences(
            [record.sequence for record in records if parts[record.id] == part],
            [record.sequence for record in targets],
            identity=settings.identity,
            e_value=settings.e_value,
            sensitivity=settings.sensitivity,
            threads=threads,
        )
        for hit in hits:
            parts[targets[hit.target].id] = "excluded"


def _representatives(
    records: Sequence[_Record], members: dict[str, tuple[str, Part]]
) -> frozenset[str]:
    best: dict[str, tuple[tuple[bool, float, str], str]] = {}
    for record in records:
        name, part = members[record.id]
        if record.unfit or part not in ("test", "validation"):
            continue
        rank = (not record.side_chains, record.resolution or math.inf, record.id)
        if name not in best or rank < best[name][0]:
            best[name] = (rank, record.id)
    return frozenset(chain_id for _, chain_id in best.values())


def _identity(dataset: ChainDataset) -> dict[str, Any]:
    return {
        "folder": dataset.folder.name,
        "source": dataset.manifest["source"].get("name", ""),
        "chains": len(dataset),
        "sequence_sha256": dataset.manifest["files"]["sequence.npy"]["sha256"],
    }
