"""Which chains a pack takes first."""

from __future__ import annotations

from collections.abc import Sequence

from itda.structure.chains.dataset import ChainDataset
from itda.train.split import Part, Split

_UNKNOWN_RESOLUTION_ANGSTROM = 99.0

Member = tuple[int, int]


def choose_chains(
    datasets: Sequence[ChainDataset],
    split: Split,
    *,
    parts: Sequence[Part],
    per_cluster: int | None = None,
) -> list[Member]:
    """Order the chains of some parts of a split by how much a pack wants them.

    Evaluation chains of validation and test come first. Training clusters follow in rounds: the
    first chain of each, then the second of each. Within a cluster chains with side chains come
    first, then those with a profile, then by resolution.

    Args:
        datasets: To take chains from.
        split: Made of these datasets.
        parts: Parts to take.
        per_cluster: Most chains of a training cluster.

    Returns:
        Pairs of the number of a dataset and of a chain in it.

    Raises:
        DataError: The split does not know a chain.
    """
    evaluation: list[Member] = []
    clusters: dict[str, list[tuple[tuple[bool, bool, float, str], Member]]] = {}
    for which, dataset in enumerate(datasets):
        for index, chain_id in enumerate(dataset.ids):
            part = split.part(chain_id)
            if part not in parts:
                continue
            if part != "train":
                if chain_id in split.representatives:
                    evaluation.append((which, index))
                continue
            rank = (
                not dataset.has_side_chains[index],
                not dataset.has_profile[index],
                float(dataset.resolutions[index]) or _UNKNOWN_RESOLUTION_ANGSTROM,
                chain_id,
            )
            clusters.setdefault(split.cluster(chain_id), []).append((rank, (which, index)))
    ranked = [
        (place, not rank[0], member)
        for name in sorted(clusters)
        for place, (rank, member) in enumerate(sorted(clusters[name])[:per_cluster])
    ]
    side_chains = [member for _, has_side_chains, member in ranked if has_side_chains]
    rest = sorted((entry for entry in ranked if not entry[1]), key=lambda entry: entry[0])
    return evaluation + side_chains + [member for _, _, member in rest]
