"""Who asks: the bearer token of a request, what it may do, and how often.

Tokens come in the Authorization header and nowhere else; cookies are never looked at, so that no
other site can have a browser do anything here.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from ninja.security.base import AuthBase

from builds.access import MAY_READ_RELEASES, acts_allowed
from builds.api import refusals
from builds.choices import Act, Scope
from builds.limits import WINDOW, Taken, buckets
from builds.models import NoToken, Token, holds_token
from builds.models.release_queries import ReleaseQuerySet

logger = logging.getLogger(__name__)

SCHEME = "bearer"
# Names of query parameters in which other APIs take a token.
_IN_ADDRESS = frozenset({"access_token", "token", "api_key"})


class Bearer(AuthBase):
    """The door of an operation: a token of this scope, whose owner may do this act now."""

    openapi_type = "http"
    openapi_scheme = SCHEME
    openapi_description = "An API token of this portal: nip_…; see docs/tokens.md."

    def __init__(self, scope: Scope, act: Act | None = None) -> None:
        super().__init__()
        self._scope = scope
        self._act = act or Act(scope.value)

    def __call__(self, request: HttpRequest) -> Token:
        """The token; ninja keeps it as request.auth."""
        token = identified(request)
        if not token.has(self._scope):
            raise refusals.missing_scope(self._scope, token.scopes)
        if self._act not in acts_allowed(token.owner):
            raise refusals.owner_may_not(self._act.value.replace("-", " "))
        return token


class Reader(AuthBase):
    """The door of what only those read who have to do with drafts."""

    openapi_type = "http"
    openapi_scheme = SCHEME

    def __call__(self, request: HttpRequest) -> Token:
        """The token; ninja keeps it as request.auth."""
        token = identified(request)
        if not Scope.reading_drafts() & set(token.scopes):
            raise refusals.missing_scope(Scope.READ_DRAFTS, token.scopes)
        if not token.owner.has_perm(MAY_READ_RELEASES):
            raise refusals.owner_may_not("read drafts")
        return token


def visible_to(request: HttpRequest, releases: ReleaseQuerySet) -> ReleaseQuerySet:
    """Of some releases those that this request may be shown.

    Everybody sees what was published once. A token whose scopes show drafts sees the others of
    its channels, too; one that is not valid is refused, rather than shown less.
    """
    token = reader(request)
    return releases.known_to_outside() if token is None else releases.readable(token.channels)


def reader(request: HttpRequest) -> Token | None:
    """The token that lets this request see drafts, None for whoever shows none or a lesser one.

    What such an answer says is for one reader: it must be `Cache-Control: private`, and the
    public one `Vary: Authorization`.
    """
    _refuse_in_address(request)
    if "Authorization" not in request.headers:
        return None
    token = identified(request)
    shows = Scope.reading_drafts() & set(token.scopes) and token.owner.has_perm(MAY_READ_RELEASES)
    return token if shows else None


def identified(request: HttpRequest) -> Token:
    """The live token that a request shows, counted as used, once. Raises Refused."""
    known = getattr(request, "api_token", None)
    if isinstance(known, Token):
        return known
    _refuse_in_address(request)
    token = _shown(request)
    _take(request, token)
    token.note_use(at=timezone.now())
    request.api_token = token  # type: ignore[attr-defined]
    return token


def rate_headers(request: HttpRequest) -> dict[str, str]:
    """How much its token may still ask, as the IETF's draft of RateLimit has it; {} unknown."""
    taken: Taken | None = getattr(request, "api_rate", None)
    if taken is None:
        return {}
    return {
        "RateLimit-Policy": f'"token";q={settings.TOKEN_RATE};w={WINDOW}',
        "RateLimit": f'"token";r={taken.left};t={taken.full_after}',
    }


def _shown(request: HttpRequest) -> Token:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != SCHEME:
        raise refusals.no_token()
    try:
        token = Token.objects.written(text.strip())
    except NoToken as error:
        raise refusals.bad_token(str(error)) from None
    if token is None:
        raise refusals.bad_token("This portal knows no such token.")
    if refusal := token.refusal(timezone.now()):
        logger.info("%s was refused: %s", token, refusal)
        raise refusals.bad_token(refusal)
    return token


def _take(request: HttpRequest, token: Token) -> None:
    """Count the request; where nobody counts, it goes on: see decision 0029."""
    taken = buckets(settings.REDIS_URL).take(f"token:{token.pk}", settings.TOKEN_RATE)
    request.api_rate = taken  # type: ignore[attr-defined]
    if taken is not None and not taken.may:
        raise refusals.too_often(taken.retry_after)


def _refuse_in_address(request: HttpRequest) -> None:
    named = _IN_ADDRESS & {name.lower() for name in request.GET}
    if named or holds_token(request.META.get("QUERY_STRING", "")):
        raise refusals.token_in_address()
