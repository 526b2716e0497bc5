"""Operations: a folder each with an interface, a float32 reference, faster backends, routing."""
