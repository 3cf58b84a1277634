"""Every address of the portal, from its resolver, filled with rows that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver

# Patterns that are regular expressions, and a path that each of them matches.
_BY_HAND = {
    r"accounts/^(?:signup|email|confirm-email|3rdparty/signup|password/reset)/": "accounts/signup/",
    r"accounts/^confirm-email/(?P<key>[-:\w]+)/$": "accounts/confirm-email/x/",
    r"accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (
        "accounts/password/reset/key/x-y/"
    ),
    r"accounts/oidc/^(?P<provider_id>[^/]+)/login/": "accounts/oidc/oidc/login/",
    r"accounts/oidc/^(?P<provider_id>[^/]+)/login/callback/": "accounts/oidc/oidc/login/callback/",
    r"admin/(?P<url>.*)$": "admin/nowhere",
}
_APP_INDEX = re.compile(r"admin/\^\(\?P<app_label>.*\)/\$")
_OF_MODEL = re.compile(r"admin/(?P<app>\w+)/(?P<model>\w+)/")
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\{(\w+)\}")


def routes() -> list[str]:
    """Every pattern as one string, Django's admin and the operations of the API included."""
    return sorted({_plain(each) for each in _walk(get_resolver(), "")})


def filled(route: str, values: Mapping[str, object]) -> str:
    """A path that a route matches; `values` are for its parameters, by `route name` or `name`."""
    if route in _BY_HAND:
        return "/" + _BY_HAND[route]
    if route == APP_INDEX:
        return "/admin/builds/"
    model = _OF_MODEL.match(route)
    if model and "_id>" in route:
        values = {**values, "object_id": _first_key(model["app"], model["model"])}
    if route == "admin/r/<path:content_type_id>/<path:object_id>/":
        values = {**values, "object_id": values["release_id"]}

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return str(values.get(f"{route} {name}", values.get(name)))

    return "/" + _PARAMETER.sub(value, route)


APP_INDEX = "admin/<app_label>/"


def _plain(route: str) -> str:
    return APP_INDEX if _APP_INDEX.fullmatch(route) else route


def _walk(resolver: URLResolver, before: str) -> Iterator[str]:
    for each in resolver.url_patterns:
        here = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _walk(each, here)
        elif isinstance(each, URLPattern):
            yield here


def _first_key(app: str, model: str) -> object:
    row = apps.get_model(app, model)._default_manager.order_by("pk").first()
    assert row is not None, f"the site of these tests wants a row of {app}.{model}"
    return row.pk
