"""Who is let onto which page, and where those are led who may not go there yet."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from builds.access import must_add_factor
from builds.choices import Act

View = Callable[..., HttpResponse]
MAY_READ_TRAIL = "builds.view_auditentry"
WANTED = "Set up a second factor first: this portal wants one of everybody who may change things."


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
