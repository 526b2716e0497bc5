"""Model inputs as typed groups of arrays, one file a group."""

from itda.features.features import Features
from itda.features.profile import ProfileFeatures
from itda.features.template import TemplateFeatures
from itda.features.token import TokenFeatures

__all__ = ["Features", "ProfileFeatures", "TemplateFeatures", "TokenFeatures"]
