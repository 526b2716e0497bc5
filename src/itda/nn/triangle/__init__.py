"""Triangle updates of a pair representation."""
