"""Results of stages by content: limits, usage, places of work that was stopped."""
