"""FlashABB: the variable domains of an antibody, heavy and light chain together."""

from itda.models.flashabb.family import FAMILY

__all__ = ["FAMILY"]
