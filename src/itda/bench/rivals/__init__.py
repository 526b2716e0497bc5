"""Our Pairformer block beside the same block of other packages."""
