"""Operations: one folder each with an interface, a float32 reference, faster backends, and routing."""
