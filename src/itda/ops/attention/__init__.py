"""Attention with an additive bias and a key mask."""

from itda.ops.attention.interface import attention

__all__ = ["attention"]
