"""The tables, how they are reached, and how they change from one version to the next."""
