"""Numbers, logs, and whether the portal is well."""
