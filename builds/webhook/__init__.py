"""Webhooks to the outside: where they may go, how they are signed, how they are sent."""

from builds.outward import Refused, Unreachable, check_url
from builds.webhook.post import Answer, post
from builds.webhook.signature import derive_secret, headers

__all__ = ["Answer", "Refused", "Unreachable", "check_url", "derive_secret", "headers", "post"]
