"""Pages of long lists: a cursor says after which row the next one begins, whatever comes anew."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from ninja import Field, Schema

from builds.api.problems import invalid
from builds.boot.addresses import base_url

USUAL, MOST = 30, 100
LONGEST = 200  # characters

Row = TypeVar("Row", bound=Model)


class Paged(Schema):
    """Which page of a list, and what of it; a parameter of another name is a slip, not a wish."""

    cursor: str | None = Field(
        None, max_length=LONGEST, description="where the page begins, from `next` of another page"
    )
    limit: int = Field(USUAL, ge=1, le=MOST, description="the most that a page has")

    def refuse_others(self, request: HttpRequest) -> None:
        """Raise Problem where the address has parameters that this list has not."""
        known = type(self).model_fields
        for name in request.GET:
            if name not in known:
                raise invalid(name, f"there is no such parameter; there are {', '.join(known)}.")


@dataclass(frozen=True, slots=True)
class Order:
    """A list, the newest row first: its name, and the time by which it goes."""

    name: str
    time: str

    def page(
        self, rows: QuerySet[Row], cursor: str | None, limit: int
    ) -> tuple[list[Row], str | None]:
        """So many rows after the cursor, and the cursor of the page after; None at the end.

        Raises Problem where the cursor is not one of this list.
        """
        if cursor is not None:
            rows = rows.filter(self._after(cursor))
        found = list(rows.order_by(f"-{self.time}", "-pk")[: limit + 1])
        if len(found) <= limit:
            return found, None
        return found[:limit], self._cursor(found[limit - 1])

    def _after(self, cursor: str) -> Q:
        time, pk = self._read(cursor)
        # Said first without the key, so that the database finds the place in its index.
        no_later = Q(**{f"{self.time}__lte": time})
        return no_later & (Q(**{f"{self.time}__lt": time}) | Q(pk__lt=pk))

    def _cursor(self, row: Model) -> str:
        place = [self.name, getattr(row, self.time).isoformat(), row.pk]
        text = json.dumps(place, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _read(self, cursor: str) -> tuple[datetime, int]:
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            name, time, pk = json.loads(base64.b64decode(padded, b"-_", validate=True))
            at = datetime.fromisoformat(time)
            if name == self.name and at.tzinfo is not None and type(pk) is int:
                return at, pk
        except (ValueError, TypeError):
            pass
        raise invalid(
            "cursor",
            f"this is no cursor of the list of {self.name}. Cursors come from `next` and from the "
            "Link header of a page, and are used as they are; leave it out for the first page.",
        )


def next_url(request: HttpRequest, cursor: str | None) -> str | None:
    """The address of the next page; None where there is none."""
    if cursor is None:
        return None
    asked = request.GET.copy()
    asked["cursor"] = cursor
    return f"{base_url(request)}{request.path}?{asked.urlencode()}"


def linked(response: HttpResponseBase, url: str | None) -> HttpResponseBase:
    """The answer with its Link to the next page."""
    if url is not None:
        response.headers["Link"] = f'<{url}>; rel="next"'
    return response
