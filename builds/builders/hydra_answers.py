"""What a Hydra answers, read with suspicion: builds with their products, and evaluations."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from builds.builders.base import (
    BadProduct,
    BuilderUnavailable,
    DerivationFailed,
    EvaluationFailed,
    Source,
)
from builds.choices import System

_JOB = re.compile(
    r"(?P<base>https?://[^/]+(?:/[^/]+)*)/job/(?P<project>[^/]+)/(?P<jobset>[^/]+)/(?P<job>[^/]+)"
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_REVISION = re.compile(r"\b[0-9a-f]{40}\b")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_STORE_PATH = re.compile(r"/nix/store/[0-9a-z]{32}-[A-Za-z0-9+._?=-]{1,211}(?:/[^\0]*)?")
_NIXOS_VERSION = re.compile(r"\d{2}\.\d{2}(?:\.|pre|beta)\d+\.[0-9a-f]{7,40}")
_GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?(?:\s.*)?")
_KERNEL = re.compile(r"/nix/store/[0-9a-z]{32}-linux-(\d[\w.+-]*)/")
NIXPKGS = "nixpkgs"


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a Hydra: where that Hydra is, and what the job is called."""

    base: str
    project: str
    jobset: str
    name: str

    @classmethod
    def of(cls, source: Source) -> Job:
        """The job that a channel follows. Raises EvaluationFailed."""
        address = f"{source.flake.rstrip('/')}/{source.attribute}"
        read = _JOB.fullmatch(address)
        if read is None or not all(map(_NAME.fullmatch, read.group("project", "jobset", "job"))):
            raise EvaluationFailed(
                f"{address} is no job of a Hydra; that is https://HYDRA/job/PROJECT/JOBSET/JOB, of "
                "which the channel has all but the last part and its target the last."
            )
        return cls(read["base"], read["project"], read["jobset"], read["job"])

    @property
    def latest_url(self) -> str:
        """Its latest good build of an evaluation in which nothing is left to be built."""
        return f"{self.base}/job/{self.project}/{self.jobset}/{self.name}/latest-finished"


@dataclass(frozen=True, slots=True)
class Offered:
    """One product of a build as Hydra lists it; `number` is its place in the list."""

    number: int
    type: str
    subtype: str
    name: str
    size: int | None
    sha256: str
    path: str


@dataclass(frozen=True, slots=True)
class HydraBuild:
    """One build: what came of it."""

    number: int
    is_finished: bool
    status: int
    system: str
    nix_name: str
    release_name: str
    derivation: str
    store_path: str
    evaluations: tuple[int, ...]
    products: tuple[Offered, ...]

    @property
    def kernel_version(self) -> str:
        """The kernel's version, where the path of a product tells it."""
        found = (_KERNEL.match(product.path) for product in self.products)
        return next((match[1][:100] for match in found if match), "")

    def refuse_unless_good(self, url: str, system: System) -> None:
        """Raise a BuilderError unless it has ended well, for this system."""
        if not self.is_finished:
            raise BuilderUnavailable(f"{url} is not finished yet.")
        if self.status != 0:
            raise DerivationFailed(f"{url} failed there (its status is {self.status}).")
        if self.system != system:
            raise BadProduct(f"{url} is for {self.system}, not for {system}.")


def read_build(url: str, record: Any) -> HydraBuild:
    """A build from its JSON. Raises BuilderUnavailable where it has another shape."""
    try:
        outputs = record["buildoutputs"]
        offered = record["buildproducts"]
        return HydraBuild(
            number=int(record["id"]),
            is_finished=bool(record["finished"]),
            status=int(record["buildstatus"] or 0) if record["finished"] else -1,
            system=str(record["system"]),
            nix_name=str(record["nixname"] or ""),
            release_name=str(record.get("releasename") or ""),
            derivation=_store_path(record["drvpath"]),
            store_path=_store_path((outputs.get("out") or {}).get("path")),
            evaluations=tuple(int(number) for number in record["jobsetevals"]),
            products=tuple(
                _product(number, offered[number]) for number in sorted(offered, key=int)
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BuilderUnavailable(
            f"{url} does not describe a build as Hydra does: {error!r}."
        ) from error


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation of a jobset: its inputs as flake refs, and what names a release of it."""

    number: int
    inputs: Mapping[str, str]
    revision: str
    created_at: datetime


def read_evaluation(url: str, record: Any, build: HydraBuild, named: str) -> Evaluation:
    """An evaluation from its JSON; `named` is the input whose revision names a release.

    Raises EvaluationFailed where it has no such input, BuilderUnavailable for another shape.
    """
    try:
        told = dict(record.get("jobsetevalinputs") or {})
        inputs = {name: _ref(each) for name, each in told.items() if each.get("uri")}
        if record.get("flake"):
            inputs["flake"] = str(record["flake"])
        number, created_at = int(record["id"]), _time(record.get("timestamp"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BuilderUnavailable(
            f"{url} does not describe an evaluation as Hydra does: {error!r}."
        ) from error
    return Evaluation(number, inputs, _revision(url, inputs, build, named), created_at)


def version_of(build: HydraBuild, evaluation: Evaluation) -> str:
    """The NixOS version that the build's names tell, else 20260820.b18a4b9 by its evaluation."""
    for text in (build.release_name, build.nix_name, build.store_path):
        if found := _NIXOS_VERSION.search(text):
            return found[0]
    return f"{evaluation.created_at:%Y%m%d}.{evaluation.revision[:7]}"


def digest_of(product: Offered) -> str:
    """The digest that Hydra claims of a product. Raises BadProduct."""
    if not _DIGEST.fullmatch(product.sha256):
        raise BadProduct(f"Hydra gives no SHA-256 of {product.name}, so nobody could check it.")
    return product.sha256


def size_of(product: Offered) -> int:
    """The bytes of a product. Raises BadProduct."""
    if not product.size or product.size < 1:
        raise BadProduct(f"{product.name} is empty (0 bytes), or Hydra does not tell its size.")
    return product.size


def _revision(url: str, inputs: Mapping[str, str], build: HydraBuild, named: str) -> str:
    if named and named not in inputs:
        raise EvaluationFailed(
            f"{url} has no input {named}, which should name the revision; correct the channel's "
            "revision input."
        )
    for name in (named, NIXPKGS, "flake"):
        if found := _REVISION.search(inputs.get(name, "")):
            return found[0]
    return hashlib.sha256(build.derivation.encode()).hexdigest()[:40]


def _ref(told: Mapping[str, Any]) -> str:
    """An input as a flake ref: github:NixOS/nixpkgs/<revision>, else its address and revision."""
    uri, revision = str(told["uri"]), str(told.get("revision") or "")
    github = _GITHUB.fullmatch(uri)
    if github and revision:
        return f"github:{github[1]}/{github[2]}/{revision}"
    return f"{uri}?rev={revision}" if revision else uri


def _product(number: str, told: Mapping[str, Any]) -> Offered:
    size = told["filesize"]
    return Offered(
        number=int(number),
        type=str(told["type"]),
        subtype=str(told["subtype"] or ""),
        name=str(told["name"] or ""),
        size=None if size is None else int(size),
        sha256=str(told["sha256hash"] or ""),
        path=str(told["path"] or ""),
    )


def _store_path(told: Any) -> str:
    path = str(told or "")
    if path and not _STORE_PATH.fullmatch(path):
        raise ValueError(f"{path[:100]!r} is no path in a Nix store")
    return path[:300]


def _time(told: Any) -> datetime:
    return datetime.fromtimestamp(int(told or 0), tz=UTC)
