"""What a flake ref may look like where people type one: no option, no shell's sign, known kinds."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.core.exceptions import ValidationError

# The kinds of ref that Nix fetches, then what addresses are made of. No blanks, quotes, $ or #:
# none of these is ever needed, and some of them mean something to whoever reads the ref next.
_REF = re.compile(
    r"(?:path:[A-Za-z0-9._~/]"
    r"|(?:github|gitlab|sourcehut):[A-Za-z0-9]"
    r"|(?:https?|git\+(?:https|ssh)|tarball\+https)://[A-Za-z0-9\[]"
    r"|git\+file://[A-Za-z0-9./])"
    r"[A-Za-z0-9._~:/?&=%@+,\[\]-]*"
)
_INPUT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:/[A-Za-z_][A-Za-z0-9_-]*)*")
_CLIMBS = re.compile(r"(?:^|[:/])\.\.(?:/|\?|$)")
_ESCAPED_DOT = re.compile(r"%2e", re.IGNORECASE)
_OF_MACHINE = re.compile(r"path:[/~]|git\+file:")


def flake_ref(text: str) -> None:
    """Raise ValidationError for what is no flake ref, or climbs out of where it begins."""
    if not _REF.fullmatch(text):
        raise ValidationError(
            "Not a flake ref: path:FOLDER, github:OWNER/REPO, git+https://…, or the https:// of a "
            "tarball or a Hydra, without blanks, quotes and other signs."
        )
    if _CLIMBS.search(_ESCAPED_DOT.sub(".", text)):
        raise ValidationError("A flake ref has no “..” in it.")


def flake_inputs(refs: object) -> None:
    """Raise ValidationError unless it maps names of inputs to flake refs."""
    if not isinstance(refs, Mapping):
        raise ValidationError("Wants a table of flake refs by the input's name.")
    for name, ref in refs.items():
        input_name(str(name))
        if not isinstance(ref, str):
            raise ValidationError(f"The ref of {name} is no text.")
        flake_ref(ref)


def input_name(text: str) -> None:
    """Raise ValidationError for what can't be the name of a flake's input."""
    if not _INPUT.fullmatch(text):
        raise ValidationError(f"{text[:60]!r} can't be the name of an input.")


def is_of_this_machine(ref: str) -> bool:
    """Whether a ref names files of the machine that builds, which copies them to its store.

    Whoever only has the web must not: all that a build reads can end up in what is handed out.
    """
    return _OF_MACHINE.match(ref) is not None
