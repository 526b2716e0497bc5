"""Alignments as values: read, filtered, weighed, paired, drawn."""
