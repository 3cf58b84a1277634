"""What waits in the broker's queues, read without taking anything out."""

from __future__ import annotations

import base64
import json
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

AWAY = (OperationalError, RedisError, OSError)

Message = tuple[str, int]


def waiting(queue: str) -> set[Message]:
    """The task and row of every message in a queue; none where the broker is away or empty.

    Read from Redis itself: its transport takes a queue without messages for one that is not
    there, and a queue's length can't tell which message was lost.
    """
    try:
        with current_app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            keys = [queue, *(f"{queue}{channel.sep}{step}" for step in channel.priority_steps)]
            texts = [text for key in keys for text in channel.client.lrange(key, 0, -1)]
    except AWAY:
        return set()
    return {message for text in texts if (message := _message(text)) is not None}


def _message(text: bytes) -> Message | None:
    message = json.loads(text)
    arguments = json.loads(base64.b64decode(message["body"]))[0]
    return (message["headers"]["task"], arguments[0]) if arguments else None
