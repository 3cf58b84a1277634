"""Reads routes.txt: what is expected of every route, method and asker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builds.tests.attack.site import PEOPLE

FILE = Path(__file__).with_name("routes.txt")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ALTERNATIVES = re.compile(r"\{([^{}<>]*,[^{}<>]*)\}")


@dataclass(frozen=True)
class Allowed:
    """Who may use one method of a route, and what they then get."""

    who: str
    statuses: frozenset[str]

    def has(self, asker: str) -> bool:
        """Whether this asker may."""
        if self.who.startswith("token:"):
            return asker.removeprefix("token:") in self.who[6:].split(",") and asker != "anonymous"
        if self.who == "none":
            return False
        if asker.startswith("token:"):
            return self.who == "all"
        least = {"all": "anonymous", "person": "nobody", "owner": "superuser"}
        return PEOPLE.index(asker) >= PEOPLE.index(least.get(self.who, self.who))


@dataclass(frozen=True)
class Line:
    """What one route knows, by method."""

    route: str
    methods: dict[str, Allowed]

    def expected(self, method: str, asker: str) -> frozenset[str]:
        """The outcomes that are right; see `outcome` in test_routes."""
        of_api = self.route.startswith("api/v1/")
        allowed = self.methods.get("GET" if method == "HEAD" else method)
        if method == "OPTIONS" and of_api and allowed is None:
            return frozenset({"204"})
        if allowed is not None:
            return allowed.statuses if allowed.has(asker) else self._refusal(allowed, asker)
        return frozenset({"405"})

    def _refusal(self, allowed: Allowed, asker: str) -> frozenset[str]:
        if self.route.startswith("api/v1/"):
            return frozenset({"403" if asker.startswith("token:") else "401"})
        if self.route == "admin/login/":
            return frozenset({"sign in" if asker == "anonymous" else "403"})
        if asker == "anonymous" or (self.route.startswith("admin/") and asker == "nobody"):
            return frozenset({"sign in"})
        return frozenset({"404" if allowed.who == "owner" else "403"})


def lines() -> dict[str, Line]:
    """Every line, by its route."""
    found: dict[str, Line] = {}
    for text in FILE.read_text().splitlines():
        if text.startswith("#") or not text.strip():
            continue
        route, _, rule = (part.strip() for part in text.rpartition("|"))
        for each in _expanded(route):
            for line in _model(each, rule) if each.endswith("/*") else [_line(each, rule)]:
                assert line.route not in found, f"{line.route} stands twice in {FILE.name}"
                found[line.route] = line
    return found


def _expanded(text: str) -> Iterator[str]:
    match = _ALTERNATIVES.search(text)
    if match is None:
        yield text
        return
    for word in match[1].split(","):
        yield from _expanded(f"{text[: match.start()]}{word}{text[match.end() :]}")


def _line(route: str, rule: str) -> Line:
    methods = {}
    for part in rule.split(";"):
        method, who, *statuses = part.split()
        methods[method] = Allowed(who, frozenset(",".join(statuses).split(",")))
    return Line(route, methods)


def _model(route: str, rule: str) -> Iterator[Line]:
    """The six addresses of a model; forms that were sent empty are shown again, or saved."""
    who = dict(part.split() for part in rule.split(";"))
    model = route.removesuffix("/*")
    page, done = frozenset({"200"}), frozenset({"200", "302"})
    see = Allowed(who["see"], page)
    yield Line(f"{model}/", {"GET": see, "POST": Allowed(who["see"], done)})
    add = Allowed(who["add"], page), Allowed(who["add"], done)
    yield Line(f"{model}/add/", dict(zip(("GET", "POST"), add, strict=True)))
    row = f"{model}/<path:object_id>"
    anywhere = Allowed("viewer", frozenset({"302"}))
    yield Line(f"{row}/", {"GET": anywhere, "POST": anywhere})
    yield Line(f"{row}/change/", {"GET": see, "POST": Allowed(who["change"], done)})
    delete = Allowed(who["delete"], page)
    yield Line(f"{row}/delete/", {"GET": delete, "POST": delete})
    yield Line(f"{row}/history/", {"GET": see, "POST": see})
