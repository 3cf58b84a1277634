"""Users in Django's admin: what they may do is one choice, and nobody raises himself above it."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone

from builds.choices import Standing
from builds.models import Actor, give_standing, standing_of

admin.site.unregister(User)


class PersonForm(UserChangeForm[User]):
    """A user with the one choice."""

    standing = forms.ChoiceField(
        choices=[("", "none: sees what everybody sees"), *Standing.choices],
        required=False,
        label="Role",
        help_text="See docs/roles.md for what each may do.",
    )

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        held = standing_of(self.instance) if self.instance.pk else None
        self.fields["standing"].initial = held or ""


@admin.register(User)
class PersonAdmin(UserAdmin[User]):
    """Users; only a superuser changes superusers, or makes one."""

    form = PersonForm
    list_display = ["username", "email", "standing", "is_active", "last_login"]
    list_filter = ["groups", "is_active", "is_superuser"]
    filter_horizontal = []
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("May", {"fields": ("standing", "is_active", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    @admin.display(description="role")
    def standing(self, user: User) -> str:
        """What this user is."""
        return standing_of(user) or ""

    def get_queryset(self, request: HttpRequest) -> Any:
        """With what the list shows."""
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """What this person may not change of it."""
        own = () if request.user.is_superuser else ("is_superuser",)
        return ("last_login", "date_joined", *own)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Whose password one may set, one can be: a superuser is changed by superusers only."""
        return self._is_below(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """The same of removing."""
        return self._is_below(request, obj) and super().has_delete_permission(request, obj)

    def save_model(
        self,
        request: HttpRequest,
        obj: User,
        form: Any,
        change: bool,  # noqa: FBT001 - Django's own
    ) -> None:
        """Save, and give the standing that was chosen."""
        super().save_model(request, obj, form, change)
        if "standing" in form.cleaned_data:
            chosen = form.cleaned_data["standing"]
            standing = Standing(chosen) if chosen else None
            by = Actor.of(cast("User", request.user))
            if not obj.is_superuser:
                give_standing(obj, standing, by=by, at=timezone.now())

    @staticmethod
    def _is_below(request: HttpRequest, obj: User | None) -> bool:
        return request.user.is_superuser or obj is None or not obj.is_superuser
