"""Weights: files with a card, read only when they are whole."""
