"""A small model of how iPXE reads a script and Linux its command line, after their sources."""

from __future__ import annotations

import re

Command = list[str]

# exec.c: words that end a command. A comment is a word that begins so.
_ENDS = {";", "&&", "||"}


def commands(script: str, **settings: str) -> list[Command]:
    """What iPXE runs: settings are filled in line by line, before anything is split."""
    found = []
    for line in re.split(r"[\r\n]", script):
        expanded = re.sub(r"\$\{([^{}]*)\}", lambda match: settings.get(str(match[1]), ""), line)
        found += _split(expanded)
    return found


def _split(line: str) -> list[Command]:
    found: list[Command] = [[]]
    for word in line.split():
        if word.startswith("#"):
            break
        if word in _ENDS:
            found.append([])
        else:
            found[-1].append(word)
    return [command for command in found if command]


def kernel_words(line: str) -> list[str]:
    """The parameters on a kernel's line (lib/cmdline.c): blanks divide, quotes hold together.

    What follows a lone `--` is for the init system.
    """
    words, word, quoted = [], "", False
    for letter in [*line, " "]:
        if letter == '"':
            quoted = not quoted
        if letter.isspace() and not quoted:
            words += [word] if word else []
            word = ""
        else:
            word += letter
    assert not quoted, "a quote was left open"
    return words[: words.index("--")] if "--" in words else words
