"""Download URLs: the latest, and the immutable ones."""
