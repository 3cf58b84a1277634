"""The portal's command line."""
