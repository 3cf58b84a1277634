"""What people may do now: acts, scopes of their tokens, and the second factor before both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings

from builds.choices import Act, Scope

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

MAY_READ_RELEASES = "builds.view_release"


def acts_allowed(user: User | AnonymousUser) -> frozenset[Act]:
    """What this user may do now; nothing while a second factor is wanted and not set up."""
    held = frozenset(act for act in Act.on_releases() if user.has_perm(act.permission))
    return frozenset() if held and must_add_factor(user) else held


def scopes_allowed(user: User | AnonymousUser) -> frozenset[Scope]:
    """The scopes that a token of this user has any use of now."""
    acts = acts_allowed(user)
    held = frozenset(scope for scope in Scope if scope.acts & acts)
    return held | ({Scope.READ_DRAFTS} if user.has_perm(MAY_READ_RELEASES) else frozenset())


def has_factor(user: User | AnonymousUser) -> bool:
    """Whether signing in as this user wants more than a password."""
    return bool(is_mfa_enabled(user, ["totp", "webauthn"]))


def changes_things(user: User | AnonymousUser) -> bool:
    """Whether this user's password is worth protecting: it opens more than reading."""
    return user.is_active and (
        user.is_superuser
        or any(not name.startswith("builds.view_") for name in user.get_all_permissions())
    )


def must_add_factor(user: User | AnonymousUser) -> bool:
    """Whether REQUIRE_MFA holds this user back until a second factor is set up."""
    return settings.REQUIRE_MFA and changes_things(user) and not has_factor(user)
