"""Django's admin behind the portal's own sign-in, so that a second factor holds there too."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from builds.access import must_add_factor
from builds.web.access import WANTED


class PortalAdminSite(AdminSite):
    """Lets staff in who have what REQUIRE_MFA wants."""

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        # It deletes many rows at once, outside of a transaction with the audit trail.
        self.disable_action("delete_selected")

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this user may see anything of it."""
        return super().has_permission(request) and not must_add_factor(request.user)

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Lead to where one signs in, or to where a second factor is set up."""
        home = reverse("admin:index", current_app=self.name)
        wanted = request.GET.get(REDIRECT_FIELD_NAME, home)
        is_ours = url_has_allowed_host_and_scheme(
            wanted, {request.get_host()}, require_https=request.is_secure()
        )
        if not request.user.is_authenticated:
            return redirect_to_login(wanted if is_ours else home)
        if must_add_factor(request.user):
            messages.warning(request, WANTED)
            return redirect("mfa_index")
        if not self.has_permission(request):
            raise PermissionDenied
        return redirect(wanted if is_ours else home)

    def password_change(  # type: ignore[override]
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        """Lead to the one page where a password is changed."""
        return redirect("account_change_password")
