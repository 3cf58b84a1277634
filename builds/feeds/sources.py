"""Where an artifact can be had, the best place first."""

from __future__ import annotations

from builds.boot.addresses import immutable_url
from builds.models import Artifact


def sources_of(artifact: Artifact, base: str) -> list[str]:
    """The addresses of this very file, in the order in which they should be tried.

    All of them name one release for good: a download may take parts from each.
    """
    return [immutable_url(base, artifact)]
