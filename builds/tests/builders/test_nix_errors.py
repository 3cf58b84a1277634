"""Nix's words, from 2.8 to the newest, become one sentence and the right error."""

from __future__ import annotations

import json

import pytest

from builds.builders.base import (
    BuilderError,
    BuilderUnavailable,
    DerivationFailed,
    EvaluationFailed,
    OutOfSpace,
)
from builds.builders.nix_errors import excerpt, failure
from builds.builders.nix_log import NixLog

STORE = "/nix/store/pqd2x17gq7rrfkin0imk77axsa4m201i"


def told(*errors: str, tail: tuple[str, ...] = (), code: int = 1) -> BuilderError:
    log = NixLog()
    for error in errors:
        log.read("@nix " + json.dumps({"action": "msg", "level": 0, "msg": f"error: {error}"}))
    return failure(log, tail, code)


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (
            f"builder for '{STORE}-bad.drv' failed with exit code 3",
            DerivationFailed,
            "of bad failed",
        ),
        (
            f"Cannot build '{STORE}-bad.drv'.\nReason: builder failed with exit code 3.",
            DerivationFailed,
            "of bad failed with exit code 3",
        ),
        (f"hash mismatch in fixed-output derivation '{STORE}-x.drv'", DerivationFailed, "failed"),
        ("writing to file: No space left on device", OutOfSpace, "disk of the worker is full"),
        ("committing transaction: database or disk is full", OutOfSpace, "full"),
        (
            "unable to download 'https://x': Couldn't resolve host name (6)",
            BuilderUnavailable,
            "check the network",
        ),
        ("unable to download 'https://x': HTTP error 404", BuilderUnavailable, "HTTP error 404"),
        ("cannot connect to socket at '/x': Connection refused", BuilderUnavailable, "nix-daemon"),
        (
            f"a 'aarch64-linux' with features {{}} is required to build '{STORE}-x.drv', but",
            BuilderUnavailable,
            "remote builder",
        ),
        (
            "could not set permissions on '/nix/var/nix/profiles' to 755: Operation not permitted",
            BuilderUnavailable,
            "may not use the Nix store",
        ),
        (f"opening file '{STORE}-source/x.nix': No such file", EvaluationFailed, "x.nix"),
        ("attribute 'x' missing\n at /flake.nix:3:1", EvaluationFailed, "attribute 'x' missing"),
        ("\n  … while evaluating x\n  error: infinite recursion", EvaluationFailed, "evaluat"),
    ],
)
def test_error_is_known_by_its_words(said: str, error: type[BuilderError], words: str) -> None:
    raised = told(said)
    assert type(raised) is error
    assert words in str(raised)
    assert "\n" not in str(raised)


def test_full_disk_is_seen_in_what_the_build_printed() -> None:
    error = f"builder for '{STORE}-bad.drv' failed with exit code 1"
    assert isinstance(told(error, tail=("bad> cp: No space left on device",)), OutOfSpace)


def test_download_inside_a_derivation_is_worth_a_retry() -> None:
    error = f"builder for '{STORE}-src.drv' failed with exit code 1"
    tail = ("src> curl: (6) Could not resolve host: example.org",)
    assert told(error, tail=tail).retry


def test_refused_connection_of_a_test_inside_a_build_is_no_trouble_of_the_network() -> None:
    error = f"builder for '{STORE}-vm-test.drv' failed with exit code 1"
    assert isinstance(told(error, tail=("vm> Connection refused",)), DerivationFailed)


@pytest.mark.parametrize("code", [-9, 137])
def test_killed_nix_is_worth_a_retry(code: int) -> None:
    killed = told(code=code)
    assert isinstance(killed, BuilderUnavailable)
    assert "killed by signal 9" in str(killed)


def test_excerpt_has_nix_own_errors_first_and_forty_lines_at_most() -> None:
    shown = excerpt(["error: why\nmore"], [f"line {number}" for number in range(100)]).splitlines()
    assert shown[:2] == ["error: why", "more"]
    assert (len(shown), shown[-1]) == (40, "line 99")
