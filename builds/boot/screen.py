"""Texts on a boot loader's screen: plain letters that neither iPXE nor a terminal reads as more."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime

from django.utils import translation
from django.utils.timesince import timesince

WIDTH = 76
"""Letters that fit into a line of a menu on a serial console."""

# What iPXE and shells give a meaning of its own is not among them: $ { } # & | ; \ ` < > quotes.
_OTHER = re.compile(r"[^A-Za-z0-9 .,:/()+!?@=%*_-]")


def screen(text: object, width: int = WIDTH) -> str:
    """A text in one line of plain letters, for behind a first word that is ours.

    Accents are left out, all else that is no plain letter becomes a question mark.
    """
    plain = unicodedata.normalize("NFKD", str(text))
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    line = " ".join(_OTHER.sub("?", " ".join(bare.split())).split())
    return line if len(line) <= width else f"{line[: width - 3]}..."


def age(since: datetime, *, at: datetime) -> str:
    """How long ago, in one English unit: 2 days."""
    with translation.override("en"):
        return timesince(since, at, depth=1).replace("\xa0", " ")
