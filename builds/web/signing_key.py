"""How the signer and its key stand."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext

from builds import signing
from builds.signing import BadKeys, KeySet, Refused, SignerAway
from builds.web.parts import Part
from builds.web.states import State, Tone

ENDS_SOON = timedelta(days=30)


def signer_part(at: datetime) -> Part:
    """Whether the signer answers, and for how long its key is valid."""
    name = gettext("signer")
    try:
        keys = KeySet.from_json(signing.key_papers()["keys.json"])
    except (SignerAway, Refused, BadKeys, KeyError) as error:
        word = gettext("does not answer: nothing is published until it does")
        return Part(name, State(Tone.BAD, "square", word), str(error))
    key = keys.current
    if key is None or not key.is_valid(at):
        word = gettext("has no valid key: nothing is published until it has")
        return Part(name, State(Tone.BAD, "square", word), "manage.py keys rotate")
    until = gettext("key {key}, until {date}").format(
        key=key.id, date=f"{key.valid_before:%Y-%m-%d}"
    )
    if key.valid_before - at < ENDS_SOON:
        return Part(name, State(Tone.WARN, "triangle", until), "manage.py keys rotate")
    return Part(name, State(Tone.GOOD, "disc", until), "")
