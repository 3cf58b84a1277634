"""Requests to the portal, and what its refusals mean."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from nixos_images import VERSION
from nixos_images.failures import Failure, NotAllowed, NotThere

TIMEOUT = 30.0  # seconds without a byte
TRIES = 4
NOT_MODIFIED = 304
PASSING = frozenset({429, 502, 503, 504})
LONGEST_PAUSE = 30.0
LARGEST_RECORD = 16 * 1024**2
AGENT = f"nixos-images/{VERSION}"
BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, socket.timeout)

_BY_STATUS = {401: NotAllowed, 403: NotAllowed, 404: NotThere, 409: NotAllowed, 410: NotThere}
_BY_STATUS[429] = NotAllowed


class Broken(Failure):
    """The connection did not hold, or the portal is not well; another try may do.

    `pause`: the seconds that it asks to wait before, 0 where it does not say.
    """

    pause = 0.0


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to no plainer scheme, and hands a token to no other host."""

    def redirect_request(  # noqa: PLR0917 - urllib's own
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        old, new = urlsplit(req.full_url), urlsplit(urljoin(req.full_url, newurl))
        if old.scheme == "https" and new.scheme != "https":
            raise Failure(f"{req.full_url} leads away from https to {newurl}")
        if req.has_header("Authorization") and old[:2] != new[:2]:
            raise Failure(f"{req.full_url} leads to another host, {new.netloc}, with a token")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener = urllib.request.build_opener(_Redirects)


def ask(
    url: str,
    *,
    headers: dict[str, str] | None = None,
    body: Any = None,
    method: str = "GET",
    timeout: float = TIMEOUT,
) -> Any:
    """An open answer of status 2xx or 304; close it. Raises Broken and other failures."""
    data = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(  # noqa: S310 - config.py lets http and https through
        url, data=data, method=method, headers={"User-Agent": AGENT, **kind, **(headers or {})}
    )
    try:
        return _opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == NOT_MODIFIED:
            return error
        raise refusal(error) from None
    except BROKEN as error:
        reason = getattr(error, "reason", None) or error
        raise Broken(f"{urlsplit(url).netloc} can't be reached: {reason}") from None


def read(url: str, *, most: int = LARGEST_RECORD, **how: Any) -> bytes:
    """A small file or record, asked for again while the portal is not well."""
    tries = 0
    while True:
        try:
            with ask(url, **how) as answer:
                return _whole(answer, url, most)
        except Broken as problem:  # noqa: PERF203 - each try waits for a network
            tries += 1
            if tries == TRIES:
                raise
            time.sleep(min(problem.pause or 0.25 * 2**tries, LONGEST_PAUSE))


def record(url: str, **how: Any) -> Any:
    """What a JSON address says."""
    data = read(url, **how)
    try:
        return json.loads(data)
    except ValueError:
        raise Failure(f"{url} gave no JSON; is this the address of a portal?") from None


def refusal(error: urllib.error.HTTPError) -> Failure:
    """What an answer of 4xx or 5xx means, in its own words where it has some."""
    with error:
        text = error.read(LARGEST_RECORD).decode("utf-8", "replace")
    said = _detail(text) or f"{error.code} {error.reason}"
    if error.code in PASSING:
        problem = Broken(said)
        pause = error.headers.get("Retry-After", "")
        problem.pause = float(pause) if pause.isdigit() else 0.0
        problem.code = _BY_STATUS.get(error.code, Failure).code
        return problem
    return _BY_STATUS.get(error.code, Failure)(said)


def quoted(word: str) -> str:
    """A word as it may stand in an address's path."""
    return quote(word, safe="")


def _detail(text: str) -> str:
    try:
        problem = json.loads(text)
        return str(problem.get("detail") or problem.get("title") or "")
    except (ValueError, AttributeError):
        lines = text.strip().splitlines()
        return "" if not lines or lines[0].startswith("<") else lines[0]


def _whole(answer: Any, url: str, most: int) -> bytes:
    try:
        data = answer.read(most + 1)
    except BROKEN as error:
        raise Broken(f"{url} broke off: {error}") from None
    if len(data) > most:
        raise Failure(f"{url} is larger than {most} bytes, which it should not be")
    length = answer.headers.get("Content-Length")
    if length is not None and len(data) != int(length):
        raise Broken(f"{url} broke off after {len(data)} of {length} bytes")
    return bytes(data)
