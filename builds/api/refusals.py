"""What a program is refused, and why: errors that become problem documents."""

from __future__ import annotations

from typing import Any

REALM = 'Bearer realm="NixOS images"'
QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"


class Refused(Exception):
    """A refusal: status, a short title, what is wrong in a sentence or two; `members` beside.

    `headers` go with the answer; `type` is the URI of a kind of problem that others know.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        type: str = "about:blank",  # noqa: A002 - RFC 9457's own word
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.type = type
        self.headers = headers or {}
        self.members = members


def no_token() -> Refused:
    """401 to who shows none."""
    detail = (
        "This wants an API token: send it as “Authorization: Bearer nip_…”. See docs/tokens.md."
    )
    return Refused(401, "Token wanted", detail, headers={"WWW-Authenticate": REALM})


def bad_token(why: str) -> Refused:
    """401 to who shows one that opens nothing."""
    challenge = f'{REALM}, error="invalid_token", error_description="{why}"'
    return Refused(401, "Token not valid", why, headers={"WWW-Authenticate": challenge})


def token_in_address() -> Refused:
    """400 to who writes one into the address, where logs keep it."""
    detail = (
        "A token stands in this address. Addresses are kept in logs and histories: revoke that "
        "token, and send the new one as “Authorization: Bearer nip_…”."
    )
    return Refused(400, "Token in the address", detail)


def missing_scope(scope: str, held: list[str]) -> Refused:
    """403 to a token that was not made for this."""
    challenge = f'{REALM}, error="insufficient_scope", scope="{scope}"'
    return Refused(
        403,
        "Scope missing",
        f"This wants the scope {scope}; the token has {', '.join(held)}.",
        headers={"WWW-Authenticate": challenge},
        missing_scope=scope,
    )


def owner_may_not(what: str) -> Refused:
    """403 to a token whose owner may not do it either, or not any more."""
    return Refused(403, "Owner may not", f"The account that owns this token may not {what} now.")


def other_channel(channel: str, covered: list[str]) -> Refused:
    """403 to a token that was made for other channels."""
    detail = f"This token is for {', '.join(covered)} only, not for {channel}."
    return Refused(403, "Other channel", detail, channels=covered)


def too_often(retry_after: int) -> Refused:
    """429 to a token that asks too often."""
    return Refused(
        429,
        "Too many requests",
        f"This token has asked too often; ask again in {retry_after} s.",
        type=QUOTA,
        headers={"Retry-After": str(retry_after)},
        **{"violated-policies": ["token"]},
    )


def queue_is_full(length: int, most: int, retry_after: int) -> Refused:
    """429 while more waits already than a program may add to."""
    return Refused(
        429,
        "Queue full",
        f"{length} builds wait already, and programs add to no more than {most}; nothing was "
        "triggered. People still can.",
        headers={"Retry-After": str(retry_after)},
        queue_length=length,
        queue_most=most,
    )


def wrong_state(why: str, state: str) -> Refused:
    """409 where a row, as it stands, does not allow it."""
    return Refused(409, "Not possible now", why, **({"state": state} if state else {}))


def not_understood(field: str, why: str) -> Refused:
    """422 where a field of the body says something that can't be."""
    return Refused(422, "Invalid request", f"{field}: {why}", field=field)
