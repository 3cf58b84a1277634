"""Django's admin: channels, hosts and subscriptions are edited; what the portal made is read."""

from builds.admin import audit, hosts, notices, people, releases, tokens

__all__ = ["audit", "hosts", "notices", "people", "releases", "tokens"]
