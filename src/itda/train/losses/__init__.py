"""Training losses, one file a kind."""
