"""`make lint`: every check of form, a line each; all of them run, the end says which failed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy import needs
from deploy.guards import ROOT, data_dir
from deploy.terminal import say
from deploy.tests import provide

# What a portal in the open is set to; `check --deploy` looks at it as such.
PRODUCTION = {
    "DEBUG": "false",
    "SECRET_KEY": "c" * 25 + "heck-deploy-wants-a-long-one-0123456789-abcdefghij",
    "ALLOWED_HOSTS": "images.example.org",
    "PORTAL_URL": "https://images.example.org",
}

_TYPED = ("portal", "builds", "deploy", "images/mini", "client/nixos_images")
_RUN = ("portal", "builds", "deploy", "client/nixos_images", "manage.py")
# Scripts of the mini image read files that only the booted image has.
_SHELLCHECK = ("--exclude=SC1091",)


@dataclass(frozen=True, slots=True)
class Check:
    """One tool's run; `production`: with the settings of a portal in the open."""

    name: str
    command: tuple[str, ...]
    production: bool = False


def main(arguments: list[str]) -> int:
    """Run all checks; 1 where any of them failed."""
    folder = data_dir()
    python = provide("lint", needs.LINT, folder)
    failed = [check.name for check in checks(python) if not passes(check, folder)]
    if failed:
        say(f"lint failed: {', '.join(failed)}")
        return 1
    return 0


def checks(python: str) -> list[Check]:
    """Every check, the fast ones first."""
    bin_folder = Path(python).parent
    manage = (python, str(ROOT / "manage.py"))
    templates = _files("templates/*.html") + _files("templates/*.txt") + _files("templates/*.xml")
    settings = ("--configuration", "pyproject.toml")
    return [
        Check("ruff check", (str(bin_folder / "ruff"), "check", "--quiet")),
        Check("ruff format", (str(bin_folder / "ruff"), "format", "--check", "--quiet")),
        *_over("shellcheck", ("shellcheck", *_SHELLCHECK), _shell_scripts()),
        *_over("nix-instantiate --parse", ("nix-instantiate", "--parse"), _files("*.nix")),
        *_over("djade", (str(bin_folder / "djade"), "--check"), templates),
        *_over(
            "djlint",
            (str(bin_folder / "djlint"), "--quiet", *settings, "--lint"),
            _files("templates/*.html"),
        ),
        Check("bandit", bandit(python)),
        Check("locks", (python, "-m", "deploy.lock")),
        Check("texts", (python, "-m", "deploy.messages")),
        Check("layers", (str(bin_folder / "lint-imports"), "--no-cache")),
        Check("migrations", (*manage, "makemigrations", "--check", "--dry-run")),
        Check(
            "check --deploy",
            (*manage, "check", "--deploy", "--fail-level", "WARNING"),
            production=True,
        ),
        Check("mypy", (python, "-m", "mypy", *_TYPED)),
        *_over("mandoc", ("mandoc", "-T", "lint", "-W", "warning"), _files("*.1")),
    ]


def bandit(python: str) -> tuple[str, ...]:
    """The command that looks for what attackers like; tests are what attackers do."""
    program = str(Path(python).parent / "bandit")
    return (program, "--quiet", "--recursive", "--configfile", "pyproject.toml", *_RUN)


def passes(check: Check, folder: Path) -> bool:
    """Run one check and print its line; what it said where it failed."""
    started = time.monotonic()
    environment = {
        **os.environ,
        "DATA_DIR": str(folder),
        **(PRODUCTION if check.production else {}),
    }
    try:
        done = subprocess.run(
            check.command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        is_good, said = done.returncode == 0, done.stdout + done.stderr
    except FileNotFoundError:
        is_good, said = False, f"{check.command[0]} is not installed"
    verdict = "ok" if is_good else "FAILED"
    print(f"{check.name:<24} {verdict:<6} {time.monotonic() - started:5.1f} s", flush=True)
    if not is_good:
        print(said.strip(), file=sys.stderr, flush=True)
    return is_good


def _over(name: str, command: tuple[str, ...], files: Sequence[str]) -> list[Check]:
    """A check of files; none where there are no such files."""
    return [Check(name, (*command, *files))] if files else []


def _files(pattern: str) -> list[str]:
    """The files that belong to the project and match; in a tarball without git, all that match."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return sorted(name for name in done.stdout.splitlines() if (ROOT / name).is_file())
    ignored = {".venv", "var", "node_modules"}
    paths = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(
        str(path) for path in paths if path.match(pattern) and not ignored & {*path.parts}
    )


def _shell_scripts() -> list[str]:
    """The scripts that name a shell in their first line."""
    return [name for name in _files("*") if _is_shell(ROOT / name)]


def _is_shell(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and first.split()[-1].rpartition(b"/")[2] in {b"sh", b"bash"}
