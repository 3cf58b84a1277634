"""Who may do what: three groups that the portal keeps, and how people come into them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

from builds.choices import Act, Standing
from builds.models.actor import Actor
from builds.models.audit import AuditEntry

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User

# Each standing has what those before it have, and this.
ACTS: dict[Standing, tuple[Act, ...]] = {
    Standing.VIEWER: (),
    Standing.OPERATOR: (Act.TRIGGER, Act.CANCEL, Act.RETRY, Act.KEEP, Act.STOP_KEEPING),
    Standing.ADMIN: (Act.PUBLISH, Act.WITHDRAW, Act.ROLL_BACK),
}
_EDITED = ("channel", "target", "subscription", "host", "mirror")
_EDITS = {f"{verb}_{model}" for verb in ("add", "change", "delete") for model in _EDITED}
_EDITS |= {"change_followed", "delete_followed"}  # which portal is followed is said on its machine
_TOKENS = {"revoke_token"}
_PEOPLE = ("add_user", "change_user", "view_user", "view_group")


def acts_of(standing: Standing) -> frozenset[Act]:
    """What somebody of this standing may do to channels, releases and builds."""
    order = list(Standing)
    below = order[: order.index(standing) + 1]
    return frozenset(act for each in below for act in ACTS[each])


def standing_of(user: User | AnonymousUser) -> Standing | None:
    """The highest standing of a user, None for visitors; a superuser is an admin."""
    if not user.is_active:
        return None
    if user.is_superuser:
        return Standing.ADMIN
    names = set(user.groups.values_list("name", flat=True))
    return next((each for each in reversed(Standing) if each in names), None)


def give_standing(user: User, standing: Standing | None, *, by: Actor, at: datetime) -> bool:
    """Let a user be of one standing, or of none; false where that was so.

    Who has one may open Django's admin, and sees there what the standing shows.
    """
    with transaction.atomic():
        held = set(user.groups.filter(name__in=Standing.values).values_list("name", flat=True))
        if held == ({standing} if standing else set()):
            return False
        user.groups.remove(*Group.objects.filter(name__in=Standing.values))
        if standing:
            user.groups.add(Group.objects.get(name=standing))
        user.is_staff = user.is_superuser or standing is not None
        user.save(update_fields=["is_staff"])
        reason = f"is {standing or 'nobody special'} now"
        AuditEntry.objects.record(Act.CHANGE, user, by=by, at=at, reason=reason)
    return True


def keep_groups(**_signal: Any) -> None:
    """Make the three groups, with the permissions that their standing has; after each migrate.

    Whoever wants other permissions makes a group of another name.
    """
    for standing in Standing:
        group, _ = Group.objects.get_or_create(name=standing.value)
        group.permissions.set(Permission.objects.filter(_permissions(standing)))


def _permissions(standing: Standing) -> Q:
    codenames = {act.codename for act in acts_of(standing)}
    is_admin = standing is Standing.ADMIN
    found = Q(codename__startswith="view_") | Q(
        codename__in=codenames | (_EDITS | _TOKENS if is_admin else set())
    )
    of_builds = Q(content_type__app_label="builds") & found
    people = Q(content_type__app_label="auth", codename__in=_PEOPLE)
    return of_builds | people if is_admin else of_builds
