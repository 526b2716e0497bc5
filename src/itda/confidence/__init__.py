"""Confidence in a structure: what geometry allows, and what a model says of itself."""
