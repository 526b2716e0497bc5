"""From a finished run to weights that `itda fold` reads."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path

import torch

from itda.hub import weights as hub_weights
from itda.train.loop import Trainer


def export_weights(trainer: Trainer, path: Path) -> hub_weights.WeightsCard:
    """Write the averaged weights as float16, with a card that says how they were made.

    Args:
        trainer: Of a run that has taken its last step, or any step before.
        path: The `.safetensors` file to write.
    """
    recipe = trainer.recipe
    assert recipe.model is not None
    network = trainer.averaged_network()
    return hub_weights.save(
        path,
        network.state_dict(),
        card={
            "family": recipe.family,
            "name": recipe.name,
            "licence": "Apache-2.0",
            "config": recipe.model.model_dump(mode="json"),
            "training": {
                "recipe": recipe.name,
                "recipe_sha256": recipe.digest,
                "steps": trainer.step,
                "examples": trainer.examples_seen,
                "parameters": sum(p.numel() for p in network.parameters()),
                "datasets": {
                    dataset.folder.name: dataset.manifest["source"] for dataset in trainer.datasets
                },
                "started_from": trainer.started_from,
                "templates": {} if trainer.templates is None else dict(trainer.templates.manifest),
                "split_sha256": trainer.split.manifest.get("table_sha256", ""),
                "training_clusters": len(trainer.steps.every.clusters),
                "device": _device_name(trainer.fabric.device),
                "torch": torch.__version__,
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            },
        },
    )


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
