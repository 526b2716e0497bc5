"""Processes that are killed at random, and books that have to be right afterwards."""
