"""Templates: known structures whose chains align with the query."""
