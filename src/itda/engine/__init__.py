"""The engine: jobs in, events out, each stage stored under a hash of what went into it."""
