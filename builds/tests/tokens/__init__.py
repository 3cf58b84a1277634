"""API tokens: what opens what, how often, and once."""
