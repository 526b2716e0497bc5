"""Layer norm over the channels of every vector."""

from itda.ops.layer_norm.interface import layer_norm

__all__ = ["layer_norm"]
