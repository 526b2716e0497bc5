"""Alignments as values: read, checked, and turned into profiles."""
