"""The API as its OpenAPI document describes it, asked 20,000 times."""
