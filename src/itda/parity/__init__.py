"""Families beside the packages that they follow: the same weights, the same inputs, two results."""
