"""A small iPXE: runs a script as its sources do, and tells what was loaded, shown and ended with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from builds.tests.boot.ipxe import Command

_ENDS = ("||", "&&", ";")
_MOST = 500  # commands; a script that runs longer loops
_FETCHES = ("kernel", "initrd", "imgfetch")


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
        return [command for command in self.ran if command[0] in names]

    def _line(self, line: str) -> str:
        """The label to go to, "" for the next line; a failed line ends the script."""
        if line.startswith(":"):
            return ""
        words, good, process = line.split(), True, True
        command: Command = []
        for word in [*words, ";"]:
            if word.startswith("#"):
                word = ";"  # noqa: PLW2901
                words = []
            if word not in _ENDS:
                command.append(word)
                continue
            if process:
                good = self._command([self._filled(each) for each in command])
                if self.end or (good and command[:1] == ["goto"]):
                    return "" if self.end else self._filled(command[1])
            process = {"||": not good, "&&": good, ";": True}[word]
            command = []
            if not words:
                break
        if not good:
            self.end = "failed"
        return ""

    def _filled(self, word: str) -> str:
        return re.sub(r"\$\{([^{}]*)\}", lambda found: self.settings.get(str(found[1]), ""), word)

    def _command(self, words: Command) -> bool:
        self.ran.append(words)
        if len(self.ran) > _MOST:
            raise Loops
        match words:
            case []:
                return True
            case ["iseq", one, other]:
                return one == other
            case ["isset", *value]:
                return bool(value and value[0])
            case ["set", name, *value]:
                self.settings[name] = " ".join(value)
            case ["echo", *text] | ["menu", *text] | ["item", "--gap", *text] | ["prompt", *text]:
                self.shown.append(" ".join(text))
            case ["item", "--key", _, label, *text] | ["item", label, *text]:
                self.items[label] = " ".join(text)
            case ["choose", *options, name]:
                self.settings[name] = self._chosen(options)
            case [("boot" | "shell" | "reboot" | "exit") as end, *_]:
                self.end = end
            case [("kernel" | "initrd" | "imgfetch"), *rest]:
                return not self.missing & set(rest)
            case [("goto" | "imgfree"), *_]:
                pass
            case _:
                raise AssertionError(f"no iPXE knows {words}")
        return True

    def _chosen(self, options: Command) -> str:
        chosen = self.chooses.pop(0) if self.chooses else options[options.index("--default") + 1]
        assert chosen in self.items
        return chosen
