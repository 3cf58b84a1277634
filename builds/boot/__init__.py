"""What a machine or a person needs to boot a release: addresses, commands, scripts."""
