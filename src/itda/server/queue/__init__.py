"""Jobs, leases, shares and books."""
