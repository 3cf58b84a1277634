"""The production shape: PostgreSQL, Redis, S3, nginx, and workers on machines of their own."""
