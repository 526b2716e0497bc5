"""Triangle multiplication: each edge learns from the two other edges of its triangles."""

from itda.ops.triangle_multiply.interface import triangle_multiply

__all__ = ["triangle_multiply"]
