"""Numbers, times and states in templates; the words themselves are made in builds.web."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext

from builds import logs
from builds.logs import Line
from builds.web import origin, states, words
from builds.web.states import State

register = template.Library()

register.filter("size", words.size)
register.filter("clock", words.clock)
register.filter("short_digest", words.short_digest)
register.filter("moment", words.moment)
register.filter("slot", words.slot)
register.filter("day", words.day)
register.filter("number", words.number)
register.filter("sentence", words.sentence)
register.filter("public_ref", words.public_ref)
register.filter("plain", logs.plain)
register.filter("accelerator", states.accelerator_in_words)
register.filter("release_name", states.release_name)
register.filter("origin_in_words", origin.origin_in_words)
register.filter("is_address", origin.is_address)
register.filter("check_state", states.check_state)


@register.simple_tag
def ago(when: datetime, at: datetime) -> SafeString:
    """How long ago, with the exact time for those who ask: {% ago release.published_at at %}."""
    return _time(when, words.age(when, at=at))


@register.filter
def since(when: datetime, at: datetime) -> str:
    """How long ago, as plain text: {{ release.published_at|since:at }}."""
    return words.age(when, at=at)


@register.simple_tag
def until(when: datetime, at: datetime) -> SafeString:
    """How far off, with the exact time: {% until row.next_at at %}."""
    return _time(when, words.ahead(when, at=at))


@register.simple_tag
def bytes_of(count: int) -> SafeString:
    """A size in words, with the exact bytes in its title."""
    exact = words.counted(count, "byte")
    return format_html('<span title="{}">{}</span>', exact, words.size(count))


@register.simple_tag
def counted(count: int, noun: str) -> str:
    """A number and its noun: {% counted 3 "release" %}."""
    return words.counted(count, noun)


@register.simple_tag
def log_lines(lines: Iterable[Line]) -> SafeString:
    """Lines of a log with their numbers as anchors; a template would take ten times as long."""
    return mark_safe("".join(map(_log_line, lines)))  # noqa: S308 - escaped below  # nosec B308, B703


@register.simple_tag
def log_words() -> str:
    """The words that log.js says, as JSON: nouns with their singular and plural, sentences."""
    return json.dumps(
        {
            "locale": get_language(),
            "line": _both("line"),
            "new line": _both("new line"),
            "derivation": _both("derivation"),
            "last": gettext("the last {lines} of {all}"),
            "shown": gettext("{lines} of {all} shown"),
            "below": gettext("{lines} below"),
            "built": gettext("{done} of {derivations} built"),
            "fetched": gettext("{done} of {all} fetched"),
            "of about": gettext("{elapsed} of about {expected}"),
            "so far": gettext("{elapsed} so far; no earlier build tells how long it takes"),
        }
    )


def _both(noun: str) -> list[str]:
    """Singular and plural, with {count}."""
    return [words.noun(count, noun) for count in (1, 2)]


@register.inclusion_tag("web/_state.html")
def state(value: State, *, spoken: bool = True) -> dict[str, object]:
    """A state as shape and word in its colour; the word only for screen readers if not spoken."""
    return {"state": value, "spoken": spoken}


def _time(when: datetime, shown: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        f"{when:%Y-%m-%dT%H:%M:%SZ}",
        words.moment(when),
        shown,
    )


def _log_line(line: Line) -> str:
    text = "".join(
        f'<span class="{span.classes}">{escape(span.text)}</span>'
        if span.classes
        else escape(span.text)
        for span in line.spans
    )
    number = line.number
    return (
        f'<span class="line" id="L{number}">'
        f'<a href="#L{number}" data-n="{number}" tabindex="-1" aria-hidden="true"></a>'
        f"{text}\n</span>"
    )
