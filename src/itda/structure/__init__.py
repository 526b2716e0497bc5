"""Coordinates: reading and writing files, predictions, superposition, lDDT, comparison."""
