"""Enters the family and its weights in the registries of every Python with this folder on its path.

It has no weights: what a network would read is drawn at random.
"""

import types

from itda.hub import registry as weights
from itda.hub.registry import WeightSet
from itda.models import registry

registry.FAMILIES = types.MappingProxyType(
    {**registry.FAMILIES, "allatom": "tests.allatom.family:FAMILY"}
)
_SETS = {
    **weights.weight_sets(),
    "allatom": WeightSet.model_validate(
        {
            "name": "allatom",
            "family": "allatom",
            "title": "Nothing at all",
            "source": {"kind": "built-in", "folder": "nowhere"},
            "files": [{"name": "allatom.safetensors", "bytes": None, "sha256": None}],
            "licence": weights.weight_sets()["mini"].licence,
            "citations": ["none"],
            "homepage": "",
        }
    ),
}
weights.weight_sets = lambda: _SETS
