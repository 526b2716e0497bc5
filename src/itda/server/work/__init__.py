"""Workers: they claim jobs, have them done, and bring back what came of them."""
