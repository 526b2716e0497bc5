"""The gated transition: norm, up, gate, down, for every vector alone."""

from itda.ops.gated_transition.interface import gated_transition

__all__ = ["gated_transition"]
