"""`/metrics`: what an operator asks, for Prometheus."""
