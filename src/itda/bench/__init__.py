"""Measurements that anyone can run again: `itda bench`."""
