"""Protein chains with coordinates, in datasets that are read by memory map."""
