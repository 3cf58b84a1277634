"""Django's admin: channels and subscriptions are edited; what the portal made is read."""

from builds.admin import audit, notices, people, releases, tokens

__all__ = ["audit", "notices", "people", "releases", "tokens"]
