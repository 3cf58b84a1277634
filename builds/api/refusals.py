"""What a program with a token is refused, and why."""

from __future__ import annotations

from typing import Any

from builds.api.problems import Problem

CHALLENGE = "WWW-Authenticate"
REALM = 'Bearer realm="NixOS images"'
QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def no_token() -> Problem:
    """401 to who shows none."""
    detail = (
        "This wants an API token: send it as “Authorization: Bearer nip_…”. See docs/tokens.md."
    )
    return Problem(401, detail, headers={CHALLENGE: REALM})


def bad_token(why: str) -> Problem:
    """401 to who shows one that opens nothing."""
    challenge = f'{REALM}, error="invalid_token", error_description="{why}"'
    return Problem(401, why, headers={CHALLENGE: challenge})


def token_in_address() -> Problem:
    """400 to who writes one into the address, where logs keep it."""
    return Problem(
        400,
        "A token stands in this address. Addresses are kept in logs and histories: revoke that "
        "token, and send the new one as “Authorization: Bearer nip_…”.",
    )


def missing_scope(scope: str, held: list[str]) -> Problem:
    """403 to a token that was not made for this."""
    challenge = f'{REALM}, error="insufficient_scope", scope="{scope}"'
    detail = f"This wants the scope {scope}; the token has {', '.join(held)}."
    return Problem(403, detail, headers={CHALLENGE: challenge}, missing_scope=scope)


def owner_may_not(what: str) -> Problem:
    """403 to a token whose owner may not do it either, or not any more."""
    return Problem(403, f"The account that owns this token may not {what} now.")


def other_channel(channel: str, covered: list[str]) -> Problem:
    """403 to a token that was made for other channels."""
    detail = f"This token is for {', '.join(covered)} only, not for {channel}."
    return Problem(403, detail, channels=covered)


def too_often(retry_after: int) -> Problem:
    """429 to a token that asks too often."""
    members: dict[str, Any] = {"violated-policies": ["token"]}
    return Problem(
        429,
        f"This token has asked too often; ask again in {retry_after} s.",
        type=QUOTA,
        headers={"Retry-After": str(retry_after)},
        **members,
    )


def queue_is_full(length: int, most: int, retry_after: int) -> Problem:
    """429 while more waits already than a program may add to."""
    return Problem(
        429,
        f"{length} builds wait already, and programs add to no more than {most}; nothing was "
        "triggered. People still can.",
        title="The queue is full",
        headers={"Retry-After": str(retry_after)},
        queue_length=length,
        queue_most=most,
    )


def wrong_state(why: str, state: str) -> Problem:
    """409 where a row, as it stands, does not allow it."""
    members: dict[str, Any] = {"state": state} if state else {}
    return Problem(409, why, **members)


def not_understood(field: str, why: str) -> Problem:
    """422 where a field of the body says something that can't be."""
    errors = [{"detail": why, "pointer": f"#/{field}"}]
    return Problem(422, f"{field}: {why}", errors=errors)
