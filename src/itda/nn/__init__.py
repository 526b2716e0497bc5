"""Blocks that families share, built on ops."""
