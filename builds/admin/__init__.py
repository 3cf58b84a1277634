"""Django's admin: channels and subscriptions are edited; what the portal made is read."""

from builds.admin import audit, mirrors, notices, people, releases

__all__ = ["audit", "mirrors", "notices", "people", "releases"]
