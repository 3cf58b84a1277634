"""One POST to the outside, and what the receiver said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from builds.outward import Network, exchange
from builds.outward.connection import DEADLINE

MOST_READ = 2048  # bytes of the answer's body


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: the status, and the beginning of the body."""

    status: int
    body: str

    @property
    def is_good(self) -> bool:
        """Whether the receiver has taken what was sent."""
        return 200 <= self.status < 300  # noqa: PLR2004 - as HTTP defines success


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Iterable[Network] = (),
    deadline: float = DEADLINE,
) -> Answer:
    """Send a body; the answer, whatever its status. A redirect is an answer like any other.

    Raises Refused where the URL leads inward, and Unreachable where there is no answer.
    """
    asked = exchange("POST", url, headers=headers, body=body, allowed=allowed, deadline=deadline)
    with asked as answer:
        return Answer(answer.status, answer.read(MOST_READ).decode(errors="replace"))
