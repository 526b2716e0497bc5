"""What a fold will cost, said before it starts: memory, seconds, and whether it fits."""
