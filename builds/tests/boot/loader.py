"""A small iPXE: runs a script as its sources do, and tells what was loaded and shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from builds.tests.boot.ipxe import Command

_ENDS = ("||", "&&", ";")
_MOST = 500  # commands; a script that runs longer loops
_SKIPPED = {("||", True), ("&&", False)}
_FETCHING = ("kernel", "initrd", "imgfetch")
_SHOW = ("echo", "menu", "prompt")
_ENDING = ("boot", "shell", "reboot", "exit")
_NOTHING = ("goto", "imgfree")


class Loops(AssertionError):
    """The script does not come to an end."""


@dataclass
class Loader:
    """A machine with iPXE. `chooses` are the labels that are chosen in menus, the default if none.

    `missing` are paths that can't be fetched. `end` is the command that it came to an end with:
    boot, shell, reboot or exit.
    """

    settings: dict[str, str]
    chooses: list[str] = field(default_factory=list)
    missing: frozenset[str] = frozenset()
    ran: list[Command] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    items: dict[str, str] = field(default_factory=dict)
    end: str = ""

    def run(self, script: str) -> Loader:
        lines = re.split(r"[\r\n]+", script)
        assert lines[0] == "#!ipxe"
        place = 0
        while place < len(lines) and not self.end:
            target = self._line(lines[place])
            place = lines.index(f":{target}") if target else place + 1
        return self

    def commands(self, *names: str) -> list[Command]:
        return [command for command in self.ran if command[:1] and command[0] in names]

    def _line(self, line: str) -> str:
        """The label to go to, "" for the next line; a failed line ends the script."""
        good = True
        for joined_by, words in _commands(line):
            if (joined_by, good) in _SKIPPED:
                continue
            filled = [self._filled(word) for word in words]
            good = self._command(filled)
            if self.end:
                return ""
            if filled[:1] == ["goto"]:
                return filled[1]
        if not good:
            self.end = "failed"
        return ""

    def _filled(self, word: str) -> str:
        return re.sub(r"\$\{([^{}]*)\}", lambda found: self.settings.get(str(found[1]), ""), word)

    def _command(self, words: Command) -> bool:
        if not words:
            return True
        self.ran.append(words)
        if len(self.ran) > _MOST:
            raise Loops
        name, *rest = words
        if name in _SHOW:
            self.shown.append(" ".join(rest))
        elif name in _ENDING:
            self.end = name
        elif name in _FETCHING:
            return not self.missing & set(rest)
        elif name not in _NOTHING:
            return bool(getattr(self, f"_{name}")(*rest))
        return True

    def _iseq(self, one: str, other: str) -> bool:
        return one == other

    def _isset(self, value: str) -> bool:
        return bool(value)

    def _set(self, name: str, *value: str) -> bool:
        self.settings[name] = " ".join(value)
        return True

    def _item(self, *words: str) -> bool:
        if words[0] == "--gap":
            self.shown.append(" ".join(words[1:]))
            return True
        label, *text = words[2:] if words[0] == "--key" else words
        self.items[label] = " ".join(text)
        return True

    def _choose(self, *words: str) -> bool:
        *options, name = words
        chosen = self.chooses.pop(0) if self.chooses else options[options.index("--default") + 1]
        assert chosen in self.items
        self.settings[name] = chosen
        return True


def _commands(line: str) -> list[tuple[str, Command]]:
    """The commands of a line, each with what stands before it; a label is none."""
    found: list[tuple[str, Command]] = [("", [])]
    for word in [] if line.startswith(":") else line.split():
        if word.startswith("#"):
            break
        if word in _ENDS:
            found.append((word, []))
        else:
            found[-1][1].append(word)
    return found
