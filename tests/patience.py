"""How long a test waits for what must come."""

PATIENCE_SECONDS = 600.0
"""So long that only what never comes fails a test, however busy the machine is."""
