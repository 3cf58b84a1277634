"""How a browser wants its pages: light or dark, English or German; kept in cookies."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

THEME = "theme"
# Without JavaScript the switch goes round: as the system has it, dark, light.
NEXT_THEME = {"": "dark", "dark": "light", "light": ""}
YEAR = 365 * 24 * 3600  # seconds


def looks(request: HttpRequest) -> dict[str, object]:
    """For templates: the theme that was chosen, "" for the system's, and the one after it."""
    chosen = request.COOKIES.get(THEME, "")
    theme = chosen if chosen in NEXT_THEME else ""
    return {"theme": theme, "next_theme": NEXT_THEME[theme]}


@csrf_exempt  # it changes nothing but how this browser sees pages, and only asked from our own
@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    """Remember the theme or the language that a form names, and go back to its page."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return HttpResponseForbidden(
            "Only from this portal's own pages.", content_type="text/plain"
        )
    response = HttpResponseRedirect(_back(request))
    theme, language = request.POST.get("theme"), request.POST.get("language")
    if theme in NEXT_THEME:
        remember(response, THEME, theme)
    if language in dict(settings.LANGUAGES):
        remember(response, settings.LANGUAGE_COOKIE_NAME, str(language))
    return response


def remember(response: HttpResponse, name: str, value: str) -> None:
    """Keep a choice for a year; an empty one is forgotten."""
    if not value:
        response.delete_cookie(name, samesite="Lax")
        return
    secure = bool(settings.SESSION_COOKIE_SECURE)
    response.set_cookie(name, value, max_age=YEAR, samesite="Lax", secure=secure)


def _back(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    hosts = {request.get_host()}
    is_ours = url_has_allowed_host_and_scheme(wanted, hosts, require_https=request.is_secure())
    return wanted if is_ours else "/"
