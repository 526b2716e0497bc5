"""What molecules are: residues, atoms, ideal geometry."""
