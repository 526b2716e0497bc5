"""From representations to confidence."""
