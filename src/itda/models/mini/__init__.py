"""Mini: a compact single-chain protein model whose weights come with Itda."""

from itda.models.mini.family import FAMILY

__all__ = ["FAMILY"]
