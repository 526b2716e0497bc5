"""A quick score during training: CA-lDDT on the first validation clusters."""

from __future__ import annotations

import torch

from itda.models.mini.modeling import Mini
from itda.train.batch import Crop, make_batch
from itda.train.losses.binned import lddt_ca
from itda.train.sampler import ChainPool

LONGEST = 256


def validation_scores(network: Mini, pool: ChainPool, *, most: int) -> list[float]:
    """Fold one chain of each cluster, with its profile, and give the mean CA-lDDT of each chain.

    Args:
        network: In evaluation mode.
        pool: Validation chains.
        most: Clusters to fold; chains are cut at 256 residues.
    """
    device = next(network.parameters()).device
    scores = []
    with torch.no_grad():
        for members in pool.clusters[:most]:
            which, index = members[0]
            chain = pool.datasets[which][index]
            crop = Crop(chain, 0, min(len(chain), LONGEST), show_profile=True)
            batch = make_batch([crop]).to(device)
            output = network(batch.features, recycles=network.config.recycles)
            targets = batch.targets
            per_residue = lddt_ca(
                output.structure.frames.translation, targets.atoms[:, :, 1], targets.backbone_mask
            )
            scores.append(per_residue[targets.backbone_mask].mean().item())
    return scores
