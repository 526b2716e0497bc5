"""The geometry between residues, made ideal on the processor, many chains at once."""

from itda.models.mini.geometry.refine import STEPS, RefinedStructure, UnrefinedChain, refine

__all__ = ["STEPS", "RefinedStructure", "UnrefinedChain", "refine"]
