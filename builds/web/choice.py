"""The command that stands first on the dashboard, and the tabs that choose another one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict

from builds.boot.commands import BootCommand, boot_commands
from builds.choices import System
from builds.web.dashboard import Cell, Matrix, Row
from builds.web.looks import remember

ANCHOR = "command"
COOKIE = "command"
PARTS = ("channel", "system", "method")
LONGEST = 63  # a channel's name


@dataclass(frozen=True, slots=True)
class Wish:
    """What the URL asks for, or what it asked for last time; what nobody knows is left unheeded."""

    channel: str = ""
    system: str = ""
    method: str = ""
    is_new: bool = field(default=False, compare=False)

    @classmethod
    def of(cls, request: HttpRequest) -> Wish:
        """The wish of the URL, else the one that the browser remembers."""
        is_new = any(request.GET.get(name) for name in PARTS)
        source = request.GET if is_new else QueryDict(request.COOKIES.get(COOKIE, ""))
        channel, system, method = (str(source.get(name, "")) for name in PARTS)
        return cls(channel, system, method, is_new=is_new)

    def remember(self, response: HttpResponse) -> None:
        """Let the browser keep what the URL asked for."""
        if self.is_new:
            wish = {name: getattr(self, name)[:LONGEST] for name in PARTS}
            remember(response, COOKIE, urlencode(wish))


@dataclass(frozen=True, slots=True)
class Tab:
    """One choice: a link that works without JavaScript. `quiet` where nothing is there yet."""

    label: str
    url: str
    current: bool
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One cell of the matrix with its commands; `command` is None where nothing is published."""

    cell: Cell
    command: BootCommand | None
    commands: tuple[BootCommand, ...]
    methods: tuple[Tab, ...]
    channels: tuple[Tab, ...]
    systems: tuple[Tab, ...]


def choose(matrix: Matrix, wish: Wish, base: str) -> Choice | None:
    """The cell and command that are wished for, else the usual; None where there is no channel."""
    row = matrix.row(wish.channel) or _usual_row(matrix)
    if row is None:
        return None
    cell = row.cell(wish.system) or _usual_cell(row.built())
    if cell is None:
        return None
    commands = boot_commands(cell.release, base) if cell.release else []
    command = _usual_command(commands, wish.method)
    chosen = Wish(cell.channel.name, cell.system, command.method if command else wish.method)
    return Choice(
        cell=cell,
        command=command,
        commands=tuple(commands),
        methods=tuple(
            _tab(each.title, chosen.channel, chosen.system, each.method, current=each is command)
            for each in commands
        ),
        channels=tuple(_channel_tab(each, cell, chosen) for each in matrix.rows if each.built()),
        systems=tuple(
            _tab(
                each.system.architecture,
                chosen.channel,
                each.system,
                chosen.method,
                current=each is cell,
                quiet=each.release is None,
            )
            for each in row.built()
        ),
    )


def _usual_row(matrix: Matrix) -> Row | None:
    """The default channel if it has a release, else the first that has one or is nearest to it."""
    rows = sorted(
        (row for row in matrix.rows if row.built()), key=lambda row: not row.channel.is_default
    )
    return min(rows, key=lambda row: min(_distance(cell) for cell in row.built()), default=None)


def _usual_cell(cells: Iterable[Cell]) -> Cell | None:
    return min(
        cells, key=lambda cell: (_distance(cell), cell.system != System.X86_64), default=None
    )


def _distance(cell: Cell) -> int:
    """0 with a release, 1 with one in the making, 2 without."""
    if cell.release is not None:
        return 0
    return 1 if cell.making else 2


def _usual_command(commands: list[BootCommand], method: str) -> BootCommand | None:
    wished = (command for command in commands if command.method == method)
    return next(wished, commands[0] if commands else None)


def _channel_tab(row: Row, cell: Cell, chosen: Wish) -> Tab:
    return _tab(
        row.channel.name,
        row.channel.name,
        chosen.system,
        chosen.method,
        current=row.channel == cell.channel,
        quiet=all(each.release is None for each in row.built()),
    )


def _tab(
    label: str, channel: str, system: str, method: str, *, current: bool, quiet: bool = False
) -> Tab:
    wish = {"channel": channel, "system": str(system), "method": method}
    query = urlencode({name: value for name, value in wish.items() if value})
    return Tab(label=label, url=f"?{query}#{ANCHOR}", current=current, quiet=quiet)
