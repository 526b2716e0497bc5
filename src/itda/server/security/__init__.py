"""Who asks, how often, and with which headers the answer goes out."""
