"""What is known of a protein before it is folded: alignments and templates, and their sources."""
