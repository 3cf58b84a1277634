"""Django's admin: channels and subscriptions are edited; what the portal made is read."""

from builds.admin import notices, releases

__all__ = ["notices", "releases"]
