"""What comes with the command: its pages, completions, and the Pythons that it runs on."""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds.tests.client.conftest import CLIENT, Command

PAGE = CLIENT / "man" / "nixos-images.1"
SOURCES = sorted((CLIENT / "nixos_images").glob("*.py"))
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    sys.path.insert(0, str(CLIENT))
    try:
        from nixos_images.cli import parser as made  # noqa: PLC0415
    finally:
        sys.path.remove(str(CLIENT))
    found: argparse.ArgumentParser = made()
    return found


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    kinds = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(kinds.choices)


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for command in commands(parser).values():
        for action in command._actions:
            yield from (s for s in action.option_strings if s not in {"-h", "--help"})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_sources_are_of_python_3_9_and_its_own_library(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    names = {n.name for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.partition(".")[0] for name in names} - {"nixos_images"}
    assert roots <= sys.stdlib_module_names
    for root in roots:
        assert importlib.util.find_spec(root) is not None


def test_manual_has_every_command_and_option(parser: argparse.ArgumentParser) -> None:
    page = PAGE.read_text().replace(" , ", " ")
    for command in commands(parser):
        assert f"Cm {command}" in page
    for option in set(options(parser)):
        assert re.search(rf"Fl (?:\w )?{option[1:]}\b", page), option


def test_manual_is_well_formed(client: Command) -> None:
    lint = ["mandoc", "-T", "lint", "-W", "warning", str(PAGE)]
    said = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert "WARNING" not in said.stdout
    assert "ERROR" not in said.stdout
    shown = ["mandoc", "-T", "markdown", str(PAGE)]
    text = subprocess.run(shown, capture_output=True, text=True, check=True).stdout
    assert "WHAT IS VERIFIED" in text
    installed = client.program.parent.parent / "share" / "man" / "man1" / PAGE.name
    assert installed.read_text() == PAGE.read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_what_the_shell_reads(
    client: Command, shell: str, tmp_path: Path, parser: argparse.ArgumentParser
) -> None:
    script = client(NOWHERE, "completion", shell).out
    path = tmp_path / f"completion.{shell}"
    path.write_text(script)
    subprocess.run([shell, "-n", str(path)], check=True, timeout=20)
    for option in set(options(parser)):
        assert option.lstrip("-") in script


def test_bash_completes_commands_options_and_values(client: Command, tmp_path: Path) -> None:
    path = tmp_path / "completion.bash"
    path.write_text(client(NOWHERE, "completion", "bash").out)

    def complete(*words: str) -> set[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        line = (
            f"source {path}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
            '_nixos_images; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", line], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        return set(done.stdout.split())

    assert complete("nixos-images", "") >= {"list", "latest", "fetch", "watch", "trigger", "verify"}
    assert complete("nixos-images", "fe") == {"fetch"}
    assert complete("nixos-images", "fetch", "demo", "--al") == {
        "--allow-expired",
        "--allow-older",
        "--allowed-signers",
    }
    assert complete("nixos-images", "fetch", "--system", "x") == {"x86_64-linux"}
    assert complete("nixos-images", "completion", "z") == {"zsh"}


def test_help_and_version_need_no_portal(client: Command) -> None:
    assert client("", "--version").out.startswith("nixos-images 0.")
    shown = client("", "--help")
    assert "exit codes:" in shown.out
    assert client("", "fetch", "--help").code == 0
    assert client("").code == 2
    assert client(NOWHERE, "latest", "demo", "vax").code == 2
