"""The input language: what to fold, read from FASTA, YAML or JSON and checked by name."""
