"""Users, organisations, projects, sessions, tokens, and the audit log."""
