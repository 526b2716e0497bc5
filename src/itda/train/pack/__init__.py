"""Datasets small enough to travel: coded coordinates and profiles, in one file."""
