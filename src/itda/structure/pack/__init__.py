"""Coordinates and small numbers in few bytes."""
