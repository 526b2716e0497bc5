"""Databases on this machine: sequences to align with, structures to take templates from."""
