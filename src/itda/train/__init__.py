"""Training data, splits, losses, the training loop and evaluation of the mini family."""
