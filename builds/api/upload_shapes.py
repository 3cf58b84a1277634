"""What programs declare that upload images, and how an upload stands."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse
from ninja import Field, Schema

from builds.api.act_shapes import Asked
from builds.choices import Origin, System
from builds.models import Arrival, ArrivingFile, Channel
from builds.pipeline import Declaration, Declared

DIGEST = r"^[0-9a-f]{64}$"
PLAIN = r"^[A-Za-z0-9._+-]*$"


class FileWish(Asked):
    """One file that is to come."""

    name: str = Field(max_length=120, examples=["initrd-x86_64-linux"])
    size: int = Field(ge=1, description="bytes")
    sha256: str = Field(pattern=DIGEST, description="64 hex digits; other bytes are refused")


class UploadWish(Asked):
    """What a release is to be made of."""

    channel: str = Field(examples=["demo"])
    system: System
    version: str = Field(
        min_length=1, max_length=100, pattern=PLAIN, examples=["26.05.20260820.b18a4b9"]
    )
    files: list[FileWish] = Field(min_length=1)
    revision: str = Field("", pattern=r"^([0-9a-f]{40})?$", description="40 hex digits, if known")
    source: str = Field(
        "", max_length=300, description="where it was built, best a URL; everybody can read it"
    )
    image_version: str = Field(
        "", max_length=100, pattern=PLAIN, description="what the image calls itself, if not version"
    )
    kernel_version: str = Field("", max_length=100, pattern=PLAIN)
    partial: bool = Field(
        default=False, description="make a release even where variants of the channel are missing"
    )

    def declaration(self, channel: Channel) -> Declaration:
        """The same as the pipeline takes it."""
        return Declaration(
            channel=channel,
            system=self.system,
            files=[Declared(file.name, file.size, file.sha256) for file in self.files],
            origin=Origin.UPLOADED,
            version=self.version,
            revision=self.revision,
            source=self.source,
            image_version=self.image_version,
            kernel_version=self.kernel_version,
            partial=self.partial,
        )


class UploadedFile(Schema):
    """One file of an upload, and how much of it is here."""

    name: str
    variant: str = Field(examples=["netboot"])
    role: str = Field(examples=["initrd"])
    size: int = Field(description="bytes")
    sha256: str
    offset: int = Field(description="bytes that are here; the next piece begins there")
    is_complete: bool = Field(description="whether all of it is here, with the right digest")
    url: str = Field(description="where PATCH sends its bytes")


class UploadShape(Schema):
    """An upload as it stands."""

    id: str
    channel: str
    system: str
    version: str
    source: str
    files: list[UploadedFile]
    expires_at: datetime = Field(description="when it is removed unless something comes in")
    url: str
    finish_url: str = Field(description="where POST makes a release of it")
    release_page_url: str | None = Field(description="the page of that release")


def upload_shape(arrival: Arrival, base: str) -> UploadShape:
    """An upload with its files; all URLs begin with `base`."""
    release = arrival.release
    return UploadShape(
        id=str(arrival.pk),
        channel=arrival.channel.name,
        system=arrival.system,
        version=arrival.version,
        source=arrival.source,
        files=[file_shape(file, arrival, base) for file in arrival.files.all()],
        expires_at=expires_at(arrival),
        url=upload_url(arrival, base),
        finish_url=base + reverse("api:finish", args=[arrival.pk]),
        release_page_url=f"{base}{release.get_absolute_url()}" if release else None,
    )


def upload_url(arrival: Arrival, base: str) -> str:
    """Where an upload can be looked at."""
    return base + reverse("api:upload", args=[arrival.pk])


def expires_at(arrival: Arrival) -> datetime:
    """When an upload is removed unless something of it comes in."""
    end = arrival.touched_at + timedelta(hours=settings.UPLOAD_KEPT_HOURS)
    return end.replace(microsecond=0)


def file_shape(file: ArrivingFile, arrival: Arrival, base: str) -> UploadedFile:
    """One file of an upload; all URLs begin with `base`."""
    return UploadedFile(
        name=file.name,
        variant=file.variant,
        role=file.role,
        size=file.size,
        sha256=file.sha256,
        offset=file.received,
        is_complete=file.verified_at is not None,
        url=base + reverse("api:upload-file", args=[arrival.pk, file.name]),
    )
