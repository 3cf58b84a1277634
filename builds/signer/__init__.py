"""The signer: looks at a release by itself, and signs; runs as `manage.py signer`."""
