"""What other programs follow: Atom feeds of releases."""
