"""State machines: Hypothesis tries sequences of acts that nobody thought of."""
