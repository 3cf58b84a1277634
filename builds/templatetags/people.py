"""Who is signed in, and what they may do, in templates."""

from __future__ import annotations

from typing import Any

from django import template
from django.conf import settings
from django.urls import reverse

from builds.access import changes_things, has_factor
from builds.models import Build, Channel, Release, standing_of
from builds.web.access import MAY_READ_TRAIL
from builds.web.offers import offers_on

register = template.Library()


@register.inclusion_tag("web/_who.html", takes_context=True)
def who(context: dict[str, Any]) -> dict[str, Any]:
    """The line that says who is signed in and as what, or leads to signing in: {% who %}."""
    user = _user(context)
    path = context["request"].get_full_path() if "request" in context else "/"
    if path.startswith(reverse("account_login")):
        path = "/"
    if user is None:
        return {"path": path}
    return {
        "path": path,
        "user": user,
        "standing": standing_of(user),
        "may_read_trail": user.has_perm(MAY_READ_TRAIL),
        "csrf_token": context.get("csrf_token", ""),
    }


@register.inclusion_tag("web/_nag.html", takes_context=True)
def nag(context: dict[str, Any]) -> dict[str, Any]:
    """A word to those whose password alone opens more than reading: {% nag %}."""
    user = _user(context)
    lacks = user is not None and changes_things(user) and not has_factor(user)
    return {"lacks": lacks, "is_wanted": settings.REQUIRE_MFA}


@register.inclusion_tag("web/_acts.html", takes_context=True)
def acts_on(context: dict[str, Any], row: Channel | Release | Build) -> dict[str, Any]:
    """The slim bar of acts, for those who may: {% acts_on release %}."""
    user = _user(context)
    offers = offers_on(row, user) if user is not None else []
    edit = isinstance(row, Channel) and user is not None and user.has_perm("builds.change_channel")
    return {
        "now": [offer for offer in offers if not offer.refusal],
        "not_now": [offer for offer in offers if offer.refusal],
        "edited": row if edit else None,
    }


def _user(context: dict[str, Any]) -> Any:
    user = context.get("user")
    return user if user is not None and user.is_authenticated else None
