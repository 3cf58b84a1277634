"""Bugs that are put in on purpose, to see that the matrix turns red."""
def seed(name: str) -> None:
    pass
