"""Attention over tokens."""
