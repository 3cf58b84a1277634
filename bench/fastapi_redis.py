"""FastAPI over Redis, the shape of openwrt/asu: a key is read, and goes out."""

from __future__ import annotations

import os

import redis.asyncio
from fastapi import FastAPI, Response  # type: ignore[import-not-found]  # see its requirements

app = FastAPI(openapi_url=None)
_redis = redis.asyncio.Redis(unix_socket_path=os.environ["BENCH_REDIS"])


async def answer(path: str) -> Response:
    """What Redis has of a path; as it is, which is the least that FastAPI can do."""
    return Response(await _redis.get(f"/{path}"), media_type="application/json")


app.add_api_route("/{path:path}", answer)
