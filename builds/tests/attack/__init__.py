"""The portal with an attacker's eye: every door, every header, hostile inputs."""
