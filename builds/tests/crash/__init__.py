"""The crash matrix: every point of the way, broken in every way that a machine breaks."""
