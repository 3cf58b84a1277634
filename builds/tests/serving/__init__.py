"""A real nginx before the real portal: who sends what, with which headers."""
