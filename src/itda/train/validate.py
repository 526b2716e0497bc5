"""A quick score during training: CA-lDDT on the first validation clusters."""

from __future__ import annotations

import torch
from torch import nn

from itda.train.batch import Crop
from itda.train.losses.binned import lddt_ca
from itda.train.sampler import ChainPool
from itda.train.targets import ChainTargets
from itda.train.template_table import TemplateTable
from itda.train.trainable import AnyTrainable

LONGEST = 256
TEMPLATES = 4


def validation_scores(
    network: nn.Module,
    trainable: AnyTrainable,
    pool: ChainPool,
    *,
    most: int,
    templates: TemplateTable | None = None,
) -> list[float]:
    """Fold one chain of each cluster, with its profile, and give the mean CA-lDDT of each chain.

    Every second chain is also offered its templates, so that one number watches both.

    Args:
        network: In evaluation mode.
        trainable: Its family.
        pool: Validation chains.
        most: Clusters to fold; chains are cut at 256 residues.
        templates: Table of the templates of each chain.
    """
    device = next(network.parameters()).device
    scores = []
    with torch.no_grad():
        for number, members in enumerate(pool.clusters[:most]):
            which, index = members[0]
            chain = pool.datasets[which][index]
            offered = (
                templates.hits(chain.id, chain.sequence)[:TEMPLATES]
                if templates and number % 2
                else []
            )
            crop = Crop(
                chain,
                0,
                min(len(chain), LONGEST),
                show_profile=True,
                templates=[templates.template(hit) for hit in offered] if templates else (),
            )
            predicted = trainable.fold(network, trainable.features([crop]).to(device))
            true = ChainTargets.of_crops([crop]).to(device)
            per_residue = lddt_ca(predicted, true.atoms[:, :, 1], true.backbone_mask)
            scores.append(per_residue[true.backbone_mask].mean().item())
    return scores
