"""Where people sign in and look after their account: allauth's addresses, less what we close."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from portal.accounts import login


def closed(request: HttpRequest) -> HttpResponse:
    """Nothing is here: nobody signs up, and addresses are set by admins."""
    raise Http404


# A password is reset by e-mail only where e-mail can be sent.
_CLOSED = "signup|email|confirm-email|3rdparty/signup"
_closed = _CLOSED if settings.MAIL_IS_ON else f"{_CLOSED}|password/reset"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="mfa_index")),
    path("login/", login, name="account_login"),
    re_path(rf"^(?:{_closed})/", closed),
    path("", include("allauth.urls")),
]
