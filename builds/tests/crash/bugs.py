"""Bugs that are put into a forked worker on purpose: the matrix must turn red for each."""

from __future__ import annotations

import hashlib
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import models
from django.db.models.functions import Now

from builds.builders.base import Product
from builds.choices import BuildStatus, ReleaseStatus, Stage, Verdict
from builds.models import Actor, Artifact, Build, Check, Head, Release
from builds.models.lease import Leased, lease_end
from builds.points import point
from builds.storage import AlreadyStored, BucketStorage, FolderStorage, Stored, artifacts
from builds.storage.base import Tick


def module(name: str) -> Any:
    """A module of the pipeline; the package's own names hide some of them."""
    return sys.modules[f"builds.pipeline.{name}"]


def skip_the_fence() -> None:
    """Write without asking whether the row is still this worker's."""

    def write(self: Leased, held: models.Q, **fields: Any) -> None:
        type(self)._default_manager.filter(pk=self.pk).update(**fields)

    Leased.write = write  # type: ignore[method-assign]


def read_the_fence_again() -> None:
    """Take over another worker's fence whenever the row is read again, and ask for no other."""

    def change(self: Release, held: models.Q, **fields: Any) -> bool:
        changed = Release.objects.filter(pk=self.pk).update(**fields)
        self.refresh_from_db()
        return bool(changed)

    Release._change = change  # type: ignore[method-assign, assignment]


def write_in_place() -> None:
    """Write a file under its last name from the start."""

    def settle(self: FolderStorage, staged: str, key: str) -> None:
        source, target = self._path(staged), self._path(key)
        if not source.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.write(source.read_bytes()[:1000])
            file.flush()
            source.unlink()
            point("settle: under both keys")
        target.write_bytes(b"whole")

    FolderStorage.settle = settle  # type: ignore[method-assign]


def store_under_the_last_key() -> None:
    """Let every attempt write under the release's own keys, and remove what lies there."""

    def set_aside(build: Build, product: Product, log: Any, tick: Tick) -> Artifact:
        point("store: before a file")
        name, path = product.name, product.path
        key = build.release.key(name)
        try:
            stored = artifacts().put_once(key, path)
        except AlreadyStored:
            if Artifact.objects.filter(release=build.release, name=name).exists():
                raise
            artifacts().delete(key)
            stored = artifacts().put_once(key, path)
        point("store: file set aside")
        return Artifact(
            release=build.release,
            build=build,
            variant=build.variant,
            role=product.role,
            name=name,
            size=stored.size,
            sha256=stored.sha256,
        )

    module("store")._set_aside = set_aside
    for name in ("run", "checks.running", "publish"):
        module(name).settle = lambda release: None


def commit_in_two_steps() -> None:
    """Let a build succeed first and write its files' rows in a transaction of their own."""

    def commit(build: Build, output: Any, stored: list[Artifact], log: Any) -> None:
        build.succeed(output, log.close_stage())
        point("build: status set")
        Artifact.objects.bulk_create(stored)
        point("build: rows written")

    module("run")._commit = commit


def plan_in_two_steps() -> None:
    """Pin a draft first and queue its builds in a transaction of their own."""

    class Atomic:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    class Transaction:
        atomic = Atomic

    module("plan").transaction = Transaction


def publish_in_two_steps() -> None:
    """Say that a release is published, and move the head in a transaction of its own."""

    def publish(release: Release, _by: Actor, at: datetime) -> bool:
        changed = release._change(
            models.Q(status=ReleaseStatus.DRAFT),
            status=ReleaseStatus.PUBLISHED,
            published_at=at,
            finished_at=at,
        )
        point("publish: status set")
        if changed:
            Head.objects.move(release, at=at)
        return changed

    module("publish")._publish = publish


def publish_before_the_papers() -> None:
    """Move the head first and write sums and manifest afterwards."""
    publish = module("publish")

    def early(release: Release, *, at: datetime) -> bool:
        release.number()
        published = release.publish(at=at)
        point("publish: committed")
        publish.write_script(release)
        publish.write_papers(release)
        publish.write_moving(release.channel.name)
        return published

    sys.modules["builds.pipeline"].publish = early  # type: ignore[attr-defined]


def send_once() -> None:
    """Trust the broker: nothing that was handed to it is ever sent again."""
    advance = module("advance").advance

    def once(release: Release, *, at: datetime, again: bool = False) -> list[Any]:
        return list(advance(release, at=at)) if not again else []

    module("reconcile").advance = once


def never_lose() -> None:
    """Let the build of a dead worker run for ever."""
    Build.lose = lambda self: False  # type: ignore[method-assign]


def never_finish_moving() -> None:
    """Leave the files that move to the publish that broke off."""
    module("reconcile").finish_moving = lambda: None


def blame_the_release() -> None:
    """Take a storage that is away for a check that failed."""

    def miss(self: Check, reason: str, *, at: datetime) -> None:
        self.conclude(Verdict.ERROR, reason, seconds=0, accelerator="", console="")

    Check.miss = miss  # type: ignore[method-assign]


def take_twice() -> None:
    """Take a build that another worker has already, or that has ended."""

    def start(self: Build, worker: str) -> bool:
        Build.objects.filter(pk=self.pk).update(
            worker=worker,
            fence=self.fence + 1,
            status=BuildStatus.RUNNING,
            stage=Stage.EVALUATE,
            started_at=Now(),
            lease_until=lease_end(),
        )
        self.refresh_from_db()
        return True

    Build.start = start  # type: ignore[method-assign]


def look_only_once() -> None:
    """Fail a release for good at the first error of the storage."""
    publish = module("publish")
    publish._wait = lambda release, error, at: release.fail(str(error), at=at)


def overwrite_in_the_bucket() -> None:
    """Let every attempt write under the release's own keys, over what lies there."""

    def write_once(self: BucketStorage, key: str, data: bytes) -> Stored:
        self.client.put_object(**self._object(key), Body=data)
        return Stored(size=len(data), sha256=hashlib.sha256(data).hexdigest())

    def put_once(self: BucketStorage, key: str, source: Path, *, tick: Tick) -> Stored:
        return write_once(self, key, source.read_bytes())

    store_under_the_last_key()
    BucketStorage.write_once = write_once  # type: ignore[method-assign]
    BucketStorage.put_once = put_once  # type: ignore[assignment]


def settle_by_moving() -> None:
    """Take a file away from where it was set aside before it lies under its last key."""

    def settle(self: BucketStorage, staged: str, key: str) -> None:
        data = self.read(staged)
        if data is None:
            return
        self.delete(staged)
        point("settle: under both keys")
        self.write_once(key, data)

    BucketStorage.settle = settle  # type: ignore[method-assign]


def take_an_error_for_an_end() -> None:
    """Take a storage that answers with an error for one in which nothing lies."""

    def conclude(self: Check, reason: str, **_: object) -> None:
        self.conclude(Verdict.HUNG, reason, seconds=0, accelerator="", console="")

    Check.miss = conclude  # type: ignore[method-assign]


BY_NAME = {
    bug.__name__: bug
    for bug in (
        skip_the_fence,
        read_the_fence_again,
        write_in_place,
        store_under_the_last_key,
        commit_in_two_steps,
        plan_in_two_steps,
        publish_in_two_steps,
        publish_before_the_papers,
        send_once,
        never_lose,
        never_finish_moving,
        blame_the_release,
        take_twice,
        look_only_once,
        overwrite_in_the_bucket,
        settle_by_moving,
        take_an_error_for_an_end,
    )
}


def seed(name: str) -> None:
    """Put a bug into this process; "" is none."""
    if name:
        BY_NAME[name]()
