"""ESMFold: protein chains from their sequences alone."""

from itda.models.esmfold.family import FAMILY

__all__ = ["FAMILY"]
