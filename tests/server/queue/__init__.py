"""The queue on both databases."""
