"""Who may do what on the pages, and where those are led who may not yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from builds.choices import Act

View = Callable[..., HttpResponse]
MAY_READ_TRAIL = "builds.view_auditentry"
WANTED = "Set up a second factor first: this portal wants one of everybody who may change things."


def acts_allowed(user: User | AnonymousUser) -> frozenset[Act]:
    """What this user may do now; nothing while a second factor is wanted and not set up."""
    held = frozenset(act for act in Act.on_releases() if user.has_perm(act.permission))
    return frozenset() if held and must_add_factor(user) else held


def has_factor(user: User | AnonymousUser) -> bool:
    """Whether signing in as this user wants more than a password."""
    return bool(is_mfa_enabled(user, ["totp", "webauthn"]))


def changes_things(user: User | AnonymousUser) -> bool:
    """Whether this user's password is worth protecting: it opens more than reading."""
    return user.is_active and (
        user.is_superuser or any(not name.startswith("builds.view_") for name in _held(user))
    )


def must_add_factor(user: User | AnonymousUser) -> bool:
    """Whether REQUIRE_MFA holds this user back until a second factor is set up."""
    return settings.REQUIRE_MFA and changes_things(user) and not has_factor(user)


def needs(permission: Act | str) -> Callable[[View], View]:
    """Let a view answer only those who hold a permission; visitors are asked to sign in."""
    name = permission.permission if isinstance(permission, Act) else permission

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not request.user.has_perm(name):
                raise PermissionDenied
            if must_add_factor(request.user):
                messages.warning(request, WANTED)
                return redirect("mfa_index")
            return view(request, *args, **named)

        return guarded

    return decorate


def _held(user: User | AnonymousUser) -> set[str]:
    return set(user.get_all_permissions())
