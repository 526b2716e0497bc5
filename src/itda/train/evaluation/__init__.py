"""How well a model folds chains that it has never seen, beside what needs no model."""
