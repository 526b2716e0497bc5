"""Searches for a laboratory: the server's half of the ColabFold protocol."""
