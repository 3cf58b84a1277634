"""Django's admin: channels, hosts, mirrors and subscriptions are edited; the rest is read."""

from builds.admin import audit, hosts, mirrors, notices, people, releases, tokens

__all__ = ["audit", "hosts", "mirrors", "notices", "people", "releases", "tokens"]
