"""From representations to frames, torsions and atoms."""
