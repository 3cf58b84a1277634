"""One thing that the portal needs, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass

from django_stubs_ext import StrOrPromise

from builds.web.states import State


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that the portal needs; `detail` is for those who look after it."""

    name: StrOrPromise
    state: State
    detail: str
