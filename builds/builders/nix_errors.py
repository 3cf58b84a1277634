"""Tells from Nix's own words what went wrong, and says it in one sentence for a person."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from builds.builders.base import (
    BuilderError,
    BuilderUnavailable,
    DerivationFailed,
    EvaluationFailed,
    OutOfSpace,
)
from builds.builders.nix_log import NixLog

_EXCERPT_LINES = 40
_KILLED = 128  # added to a signal's number where a shell or unshare passes it on
_STORE_NAME = re.compile(r"/nix/store/[0-9a-z]{32}-([^'\s]+?)(?:\.drv)?(?=['\s:]|$)")
_EXIT = re.compile(r"failed with (exit code \d+)|failed due to (signal \d+)")


@dataclass(frozen=True, slots=True)
class _Rule:
    """Words that give a failure away, in Nix's errors and, where told, in what builds print."""

    error: type[BuilderError]
    words: re.Pattern[str]
    sentence: Callable[[NixLog], str]
    in_builds: bool = False


def _failed_derivation(log: NixLog) -> str:
    errors = "\n".join(log.errors)
    failed = re.search(r"builder for '([^']+)'|[Cc]annot build '([^']+)'", errors)
    path = next((group for group in failed.groups() if group), "") if failed else ""
    name = _STORE_NAME.sub(r"\1", path) or "one of the derivations"
    how = _EXIT.search(errors)
    ending = f" with {how[1] or how[2]}" if how else ""
    return f"The builder program of {name} failed{ending}; its last lines say why."


def _missing_attribute(log: NixLog) -> str:
    named = re.search(r"does not provide attribute '([^']+)'(?:.*or '([^']+)')?", log.summary)
    # Nix lists its own guesses first and the attribute as it was asked for last.
    attribute = (named[2] or named[1]) if named else "that was asked for"
    return f"The flake has no attribute {attribute}; correct the attribute or the flake."


_RULES = (
    _Rule(
        OutOfSpace,
        re.compile(r"No space left on device|database or disk is full"),
        lambda _: (
            "The disk of the worker is full; free some space, for example with "
            "nix-collect-garbage, and try again."
        ),
        in_builds=True,
    ),
    _Rule(
        BuilderUnavailable,
        re.compile(r"cannot download \S+ from any mirror|curl: \((?:6|7|28|35|56)\)"),
        lambda _: (
            "A derivation could not download its sources; the network or the server that "
            "holds them does not answer."
        ),
        in_builds=True,
    ),
    _Rule(
        BuilderUnavailable,
        re.compile(r"cannot connect to (?:socket|daemon)|opening a connection to remote store"),
        lambda log: (
            f"Nix's daemon does not answer ({log.summary}); start nix-daemon on the worker."
        ),
    ),
    _Rule(
        BuilderUnavailable,
        re.compile(
            r"['\"]/nix/(?:var|store)\b.*: "
            r"(?:Permission denied|Operation not permitted|Read-only file system)"
        ),
        lambda log: (
            f"This user may not use the Nix store ({log.summary}); start nix-daemon, or run "
            "the worker as the user that owns the store."
        ),
    ),
    _Rule(
        BuilderUnavailable,
        re.compile(
            r"unable to download|[Cc]ould(?:n't| not) resolve host|[Tt]imed out|Connection refused"
            r"|Network is unreachable|unable to access '|some substitutes .* failed"
        ),
        lambda log: (
            f"Nix could not fetch what it needs ({log.summary}); check the network of the "
            "worker and try again."
        ),
    ),
    _Rule(
        BuilderUnavailable,
        re.compile(r"required to build '|unable to start any build"),
        lambda log: (
            f"This worker can't build for that system ({log.summary}); give it a remote "
            "builder, or start a worker of that system."
        ),
    ),
    _Rule(
        DerivationFailed,
        re.compile(
            r"builder for '|[Cc]annot build '|hash mismatch in fixed-output|failed to build"
            r"|failed to produce output"
        ),
        _failed_derivation,
    ),
    _Rule(
        EvaluationFailed,
        re.compile(r"does not provide attribute"),
        _missing_attribute,
    ),
    _Rule(
        EvaluationFailed,
        re.compile(r"(?:NAR hash|'lastModified' attribute|hash) mismatch in input"),
        lambda _: (
            "The source has changed since it was pinned, and the pinned state is no longer in "
            "the Nix store; plan a new release."
        ),
    ),
)


def failure(log: NixLog, tail: Iterable[str], code: int) -> BuilderError:
    """The error that stands for a failed call of Nix.

    `tail` is the end of the log as people saw it, `code` Nix's exit code or negative signal.
    """
    lines = list(tail)
    shown = excerpt(log.errors, lines)
    for rule in _RULES:
        said = [*log.errors, *lines] if rule.in_builds else log.errors
        if any(rule.words.search(text) for text in said):
            return rule.error(rule.sentence(log), shown)
    if not log.errors and (code < 0 or code > _KILLED):
        number = -code if code < 0 else code - _KILLED
        return BuilderUnavailable(
            f"Nix was killed by signal {number}, most likely because the worker ran out of memory.",
            shown,
        )
    if log.building:
        return DerivationFailed(
            f"Nix failed while building: {log.summary or 'no reason given'}.", shown
        )
    return EvaluationFailed(
        f"The flake does not evaluate: {log.summary or 'Nix gave no reason'}; correct it and try "
        "again.",
        shown,
    )


def excerpt(errors: Iterable[str], tail: Iterable[str]) -> str:
    """The part of a log that shows why: Nix's own errors first, then the log's last lines."""
    first = [line for error in errors for line in error.splitlines()][:_EXCERPT_LINES]
    seen = set(first)
    last = [line for line in tail if line not in seen]
    room = _EXCERPT_LINES - len(first)
    return "\n".join([*first, *(last[-room:] if room > 0 else [])])
