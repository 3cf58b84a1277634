"""How often somebody may ask: a bucket of requests for each, kept in Redis for all processes."""

from __future__ import annotations

import logging
import math
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

AWAY = (RedisError, OSError)
WAIT = 0.5  # seconds for an answer of Redis; whoever asks waits meanwhile
ASK_AGAIN_AFTER = 5.0  # seconds without a question to a Redis that did not answer
WINDOW = 60  # seconds in which an empty bucket is full again

# The generic cell rate algorithm: one number for each bucket, the time at which it is full again.
# One step, by Redis's own clock, so that processes on several machines count alike.
# ARGV: milliseconds that each request takes to be given back, requests that a full bucket holds.
# Gives: whether it may, requests left, milliseconds until one may, milliseconds until all may.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local each, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local after = full + each
local wait = after - most * each - now
if wait > 0 then
  return {0, 0, math.ceil(wait), math.ceil(full - now)}
end
redis.call('SET', KEYS[1], string.format('%.3f', after), 'PX', math.ceil(after - now))
return {1, math.floor((now + most * each - after) / each + 0.001), 0, math.ceil(after - now)}
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What asking once has come to: requests left, whole seconds until one or all are back."""

    may: bool
    left: int
    retry_after: int
    full_after: int


class Buckets:
    """Buckets that hold `most` requests and fill again in a minute."""

    def __init__(self, url: str) -> None:
        path = re.sub(r"^redis\+socket://", "unix://", url)
        self._client = redis.Redis.from_url(path, socket_timeout=WAIT, socket_connect_timeout=WAIT)
        self._take = self._client.register_script(_TAKE)
        self._asked_again_at = 0.0
        self._is_away = False

    def take(self, whose: str, most: int) -> Taken | None:
        """Take one request out of somebody's bucket; None where Redis is away, and nobody counts.

        A Redis that did not answer is left alone for some seconds, so that it slows nobody down.
        """
        if time.monotonic() < self._asked_again_at:
            return None
        try:
            said: Any = self._take(keys=[f"portal:rate:{whose}"], args=[WINDOW * 1000 / most, most])
        except AWAY as error:
            self._say_away(error)
            return None
        self._is_away = False
        may, left, wait, full = said
        return Taken(bool(may), int(left), _seconds(wait), _seconds(full))

    def _say_away(self, error: Exception) -> None:
        self._asked_again_at = time.monotonic() + ASK_AGAIN_AFTER
        if not self._is_away:
            logger.warning("requests are not counted, Redis is away: %s", error)
        self._is_away = True


@lru_cache(maxsize=8)
def buckets(url: str) -> Buckets:
    """The buckets in a Redis, by one connection pool for each process."""
    return Buckets(url)


def _seconds(milliseconds: int) -> int:
    return math.ceil(milliseconds / 1000)
