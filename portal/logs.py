"""How log lines look: for people, or as JSON with the ids of what they are about; no secrets."""

from __future__ import annotations

import logging
import os
import re
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from django.conf import settings
from structlog.typing import EventDict, Processor, WrappedLogger

from builds.request_id import current_request_id

FORMATS = ("lines", "json")
PROCESS = "LOG_PROCESS"  # which of the portal's programs this is, as `make run` names them
LEAST_SECRET = 6  # characters; what is shorter stands in innocent words
HIDDEN = "[hidden]"
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_API_TOKEN = re.compile(r"\bnip_[0-9A-Za-z]{20,}")
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")


class Lines(logging.Formatter):
    """One line for a person; a traceback below it where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line without secrets."""
        return censored(super().format(record))


class JsonLines(structlog.stdlib.ProcessorFormatter):
    """One JSON object a line: time, level, logger, event, and the ids of what it is about."""

    def __init__(self) -> None:
        shared: list[Processor] = [
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(allow={"access"}),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _add_ids,
        ]
        super().__init__(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line without secrets."""
        return censored(super().format(record))


def logging_settings(style: str) -> dict[str, Any]:
    """Django's LOGGING: everything to standard error, in one of FORMATS."""
    formatter = {"lines": Lines, "json": JsonLines}[style]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "builds": {"level": "INFO"},
            "celery": {"level": "INFO"},
            "django.request": {"level": "ERROR"},
            "portal": {"level": "INFO"},
        },
    }


def censored(text: str) -> str:
    """A text without the secrets of the settings, passwords in addresses and bearer tokens."""
    pattern = _secrets()
    if pattern is not None:
        text = pattern.sub(HIDDEN, text)
    if "://" in text:
        text = _PASSWORD_IN_URL.sub(rf"\1:{HIDDEN}@", text)
    return _API_TOKEN.sub(HIDDEN, _BEARER.sub(rf"\1 {HIDDEN}", text))


@cache
def _secrets() -> re.Pattern[str] | None:
    """What must not be seen, as it is and as it stands in addresses."""
    known = [
        settings.SECRET_KEY,
        settings.DATABASES["default"].get("PASSWORD"),
        urlsplit(settings.REDIS_URL).password,
        settings.EMAIL_HOST_PASSWORD,
        settings.AWS_S3_SECRET_ACCESS_KEY,
        settings.OIDC.client_secret if settings.OIDC else None,
        settings.METRICS_TOKEN,
    ]
    secret = {str(each) for each in known if each and len(str(each)) >= LEAST_SECRET}
    forms = {form for each in secret for form in (each, quote(each, safe=""))}
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if forms else None


def _add_ids(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Put in which request it belongs to, what gunicorn says of an answer, and which program."""
    line |= line.pop("access", {})
    request = current_request_id()
    if request:
        line.setdefault("request", request)
    line.setdefault("process", os.environ.get(PROCESS) or "portal")
    line["pid"] = os.getpid()
    return line
