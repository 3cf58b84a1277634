"""How a build was made: what its provenance and its SBOM are written from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from django.db import models

from builds.models.build import Build

if TYPE_CHECKING:
    from builds.builders.how_made import HowMade


class BuildRecordQuerySet(models.QuerySet["BuildRecord"]):
    """Records by what one wants of them."""

    def note(self, build: Build, how: HowMade, *, log_sha256: str) -> None:
        """Keep what the builder told of a build that ended well."""
        self.create(
            build=build,
            inputs=[dataclasses.asdict(each) for each in how.inputs],
            settings=how.settings,
            closure=how.closure,
            components=[dataclasses.asdict(each) for each in how.components],
            log_sha256=log_sha256,
        )

    def of_release(self, release_id: int) -> BuildRecordQuerySet:
        """Those of the builds of one release."""
        return self.filter(build__release=release_id)


class BuildRecord(models.Model):
    """What the builder told of how it built; see builds.builders.how_made for the shapes.

    A row of its own: lists of components are long, and pages never want them.
    """

    build = models.OneToOneField(
        Build, on_delete=models.CASCADE, primary_key=True, related_name="record"
    )
    inputs = models.JSONField(default=list, help_text="The nodes of the flake's lock.")
    settings = models.JSONField(default=dict, help_text="Nix's own, as they held.")
    closure = models.CharField(max_length=10, blank=True, help_text="What the components are.")
    components = models.JSONField(default=list)
    log_sha256 = models.CharField(max_length=64, help_text="Of the whole log as text.")

    objects = BuildRecordQuerySet.as_manager()

    def __str__(self) -> str:
        return f"record of {self.build}"
