"""All that a model is given about its input, by group."""

from __future__ import annotations

from dataclasses import dataclass

from itda.features.group import Group
from itda.features.profile import ProfileFeatures
from itda.features.template import TemplateFeatures
from itda.features.token import TokenFeatures


@dataclass(frozen=True)
class Features(Group):
    """Typed groups of arrays; a further group of inputs is one more field and one more file.

    `Features.stack` makes one batch of several jobs: `tokens.mask` says which tokens exist.

    Attributes:
        tokens: Sequence and numbering.
        profile: Residue frequencies from an alignment, marked absent where there is none.
        templates: Known structures laid along the chain; none where their axis is empty.
    """

    tokens: TokenFeatures
    profile: ProfileFeatures
    templates: TemplateFeatures
