"""Completions for bash, zsh and fish, made from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

PROGRAM = "nixos-images"
SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class Word:
    """One option of a command: its spellings, help, and the values that it may have."""

    spellings: tuple[str, ...]
    help: str
    values: tuple[str, ...]
    takes_file: bool


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """What the shell is to read."""
    commands = dict(_commands(parser))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)


def _commands(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, tuple[str, list[Word], tuple[str, ...]]]]:
    """Name of each command, its help, its options, and the words that its arguments may be."""
    for action in parser._actions:  # noqa: SLF001 - argparse tells it nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                arguments = [a for a in command._actions if not a.option_strings]  # noqa: SLF001
                words = tuple(str(w) for a in arguments for w in a.choices or ())
                options = [_word(a) for a in command._actions if a.option_strings]  # noqa: SLF001
                yield name, (helps.get(name, ""), options, words)


def _word(action: argparse.Action) -> Word:
    return Word(
        spellings=tuple(action.option_strings),
        help=(action.help or "").replace("'", "").replace(":", ",").replace("%%", "%"),
        values=tuple(str(value) for value in action.choices or ()),
        takes_file=str(action.metavar or "") in {"FILE", "DIR"},
    )


def _bash(commands: dict[str, tuple[str, list[Word], tuple[str, ...]]]) -> str:
    cases, values = [], []
    for name, (_, options, words) in commands.items():
        spelled = [spelling for word in options for spelling in word.spellings]
        cases.append(f"    {name}) words='{' '.join([*spelled, *words])}' ;;")
        for word in options:
            if word.values:
                values.append(f"    {'|'.join(word.spellings)}) words='{' '.join(word.values)}' ;;")
            elif word.takes_file:
                files = 'COMPREPLY=($(compgen -f -- "$cur")); return'
                values.append(f"    {'|'.join(word.spellings)}) {files} ;;")
    return "\n".join(
        [
            f"# bash completion of {PROGRAM}",
            "_nixos_images() {",
            "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=''",
            "  local command=${COMP_WORDS[1]}",
            '  if [ "$COMP_CWORD" -eq 1 ]; then',
            f"    COMPREPLY=($(compgen -W '{' '.join(commands)}' -- \"$cur\")); return",
            "  fi",
            '  case "$command" in',
            *cases,
            "  esac",
            '  case "$prev" in',
            *dict.fromkeys(values),
            "  esac",
            '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
            '  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))',
            "}",
            f"complete -F _nixos_images {PROGRAM}",
            "",
        ]
    )


def _zsh(commands: dict[str, tuple[str, list[Word], tuple[str, ...]]]) -> str:
    lines = [f"#compdef {PROGRAM}", "", "_nixos_images() {", "  local -a commands", "  commands=("]
    lines += [f"    '{name}:{_quoted(text)}'" for name, (text, _, _) in commands.items()]
    lines += [
        "  )",
        "  if (( CURRENT == 2 )); then",
        "    _describe command commands",
        "    return",
    ]
    lines += ["  fi", "  case $words[2] in"]
    for name, (_, options, words) in commands.items():
        lines.append(f"    {name}) _arguments \\")
        for word in options:
            value = f":value:({' '.join(word.values)})" if word.values else ""
            value = ":file:_files" if word.takes_file else value
            text = _quoted(word.help).replace("[", "(").replace("]", ")")
            lines += [f"      '{spelling}[{text}]{value}' \\" for spelling in word.spellings]
        rest = f":word:({' '.join(words)})" if words else ":argument:_files"
        lines.append(f"      '*{rest}' ;;")
    return "\n".join([*lines, "  esac", "}", "", '_nixos_images "$@"', ""])


def _fish(commands: dict[str, tuple[str, list[Word], tuple[str, ...]]]) -> str:
    first = f"complete -c {PROGRAM} -n __fish_use_subcommand -f"
    lines = [f"# fish completion of {PROGRAM}"]
    for name, (text, options, words) in commands.items():
        lines.append(f"{first} -a {name} -d '{_quoted(text)}'")
        within = f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {name}'"
        for word in options:
            long = next((s[2:] for s in word.spellings if s.startswith("--")), "")
            short = next((s[1:] for s in word.spellings if not s.startswith("--")), "")
            spelled = (f" -l {long}" if long else "") + (f" -s {short}" if short else "")
            value = f" -x -a '{' '.join(word.values)}'" if word.values else ""
            value = " -r -F" if word.takes_file else value
            lines.append(f"{within}{spelled}{value} -d '{_quoted(word.help)}'")
        if words:
            lines.append(f"{within} -f -a '{' '.join(words)}'")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return text.replace("'", "")
