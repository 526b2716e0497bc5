"""Triangle attention: the edges of one node attend to one another."""

from itda.ops.triangle_attention.interface import triangle_attention

__all__ = ["triangle_attention"]
