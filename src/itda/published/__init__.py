"""What others publish and a search needs, by name: databases and the component dictionary."""
