"""Uploads of images that were built elsewhere: declared, sent in pieces, made a release.

Sending speaks a part of tus 1.0.0 (HEAD, PATCH, DELETE with its headers), so that its clients can
resume; what is to come is declared in JSON, with digests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.http import http_date
from ninja import Router

from builds import pipeline, tasks
from builds.api import refusals
from builds.api.act_shapes import ActedRelease, acted_release
from builds.api.authorization import Bearer, identified
from builds.api.once import once
from builds.api.openapi import UNCACHED
from builds.api.problems import Problem, problems
from builds.api.upload_shapes import (
    UploadedFile,
    UploadShape,
    UploadWish,
    expires_at,
    file_shape,
    upload_shape,
    upload_url,
)
from builds.boot.addresses import base_url
from builds.builders.base import BadProduct
from builds.choices import Act, Scope
from builds.models import Arrival, ArrivingFile, Channel, NotAllowed, Reply, Token

router = Router(tags=["uploads"])

TUS = "1.0.0"
PIECE = "application/offset+octet-stream"
BLOCK = 1024 * 1024
HEARD_OUT = 32 * BLOCK  # what a refused sender may still send, in bytes
WRONG_CHECKSUM = 460  # tus has it so
NO_ROOM = 507
_MAY_UPLOAD = Bearer(Scope.UPLOAD, Act.PUBLISH)
_PROBLEMS = problems(400, 401, 403, 404, 409, 413, 422, 429, 507)
_OF_PIECES: dict[int, Any] = {204: None, **_PROBLEMS, **problems(411, 412, 415)}


@router.post(
    "",
    auth=_MAY_UPLOAD,
    response={201: UploadShape, **_PROBLEMS},
    summary="Declare an upload",
    url_name="uploads",
)
def declare(request: HttpRequest, wanted: UploadWish) -> HttpResponse:
    """Say which files will come, how large, with which digests; nothing is sent yet."""
    token = identified(request)
    channel = _channel(token, wanted.channel)

    def do() -> Reply:
        with _refusing():
            what = wanted.declaration(channel)
            arrival = pipeline.declare(what, by=token.actor, at=timezone.now())
        return _reply(request, 201, arrival)

    return _spoken(once(request, do))


@router.api_operation(
    ["OPTIONS"],
    "",
    response={204: None},
    summary="What of tus is spoken",
    url_name="uploads",
)
def options(request: HttpRequest) -> HttpResponse:
    """The version, the extensions, the most bytes."""
    response = _spoken(HttpResponse(status=204))
    response["Tus-Version"] = TUS
    response["Tus-Extension"] = "expiration,termination"
    response["Tus-Max-Size"] = str(settings.UPLOAD_BYTES_MOST)
    return response


@router.get(
    "{upload_id}/",
    auth=_MAY_UPLOAD,
    response={200: UploadShape, **_PROBLEMS},
    summary="How an upload stands",
    openapi_extra=UNCACHED,
    url_name="upload",
)
def upload(request: HttpRequest, response: HttpResponse, upload_id: UUID) -> UploadShape:
    """Its files with the bytes that are here of each."""
    response["Cache-Control"] = "no-store"
    return upload_shape(_arrival(request, upload_id), base_url(request))


@router.delete(
    "{upload_id}/",
    auth=_MAY_UPLOAD,
    response={204: None, **_PROBLEMS},
    summary="Give an upload up",
    url_name="upload",
)
def give_up(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    """Remove all that came of it; a release that was made of it stays."""
    arrival = _arrival(request, upload_id)
    if arrival.release is not None and arrival.release.is_draft:
        raise refusals.wrong_state(f"{arrival.release} is being made of it.", "draft")
    pipeline.forget(arrival)
    return _spoken(HttpResponse(status=204))


@router.post(
    "{upload_id}/finish/",
    auth=_MAY_UPLOAD,
    response={202: ActedRelease, **_PROBLEMS},
    summary="Make a release of an upload",
    url_name="finish",
)
def finish(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    """A draft that is stored, checked and published by itself; the same one when asked again."""
    arrival = _arrival(request, upload_id)
    token = identified(request)
    with _refusing():
        for file in arrival.files.all():
            pipeline.check(file, at=timezone.now())  # where a process died before it could

    def do() -> Reply:
        with _refusing():
            release = pipeline.finish(arrival, by=token.actor, at=timezone.now())
        transaction.on_commit(partial(tasks.move_on, release))
        shape = acted_release(release, base_url(request))
        return Reply(202, shape.url, shape.model_dump_json())

    return once(request, do)


@router.get(
    "{upload_id}/{name}",
    auth=_MAY_UPLOAD,
    response={200: UploadedFile, **_PROBLEMS},
    summary="How much of a file is here",
    openapi_extra=UNCACHED,
    url_name="upload-file",
)
def offset(
    request: HttpRequest, response: HttpResponse, upload_id: UUID, name: str
) -> UploadedFile:
    """The same in the headers Upload-Offset and Upload-Length, as tus asks for them by HEAD."""
    file = _file(request, upload_id, name)
    _place_in(response, file)
    return file_shape(file, file.arrival, base_url(request))


@router.patch(
    "{upload_id}/{name}",
    auth=_MAY_UPLOAD,
    response=_OF_PIECES,
    summary="Send bytes of a file",
    url_name="upload-file",
)
def piece(request: HttpRequest, upload_id: UUID, name: str) -> HttpResponse:
    """The body goes on at Upload-Offset; what came before a break stays.

    409 names the offset where another is right; 460 says that the file is whole and wrong.
    """
    file = _file(request, upload_id, name)
    start, length = _place(request, file)
    blocks = _blocks(request, length)
    try:
        pipeline.take_in(file, start, blocks, at=timezone.now())
    except pipeline.WrongPlace as error:
        # Who is still sending would hear of a broken connection, and not of the right offset.
        deque(islice(blocks, HEARD_OUT // BLOCK), maxlen=0)
        offset = {"Upload-Offset": str(error.offset)}
        raise Problem(
            409, str(error), title="Wrong offset", headers=offset, offset=error.offset
        ) from None
    except pipeline.WrongDigest as error:
        raise Problem(WRONG_CHECKSUM, str(error), title="Wrong digest", offset=0) from None
    except NotAllowed as error:
        raise Problem(413, str(error), title="Too many pieces") from None
    return _place_in(HttpResponse(status=204), file)


def _place(request: HttpRequest, file: ArrivingFile) -> tuple[int, int]:
    """Where the body goes on, and how many bytes it has. Raises Problem."""
    if request.headers.get("Tus-Resumable", TUS) != TUS:
        raise Problem(412, f"This portal speaks tus {TUS}.", title="Other version")
    if request.content_type != PIECE:
        raise Problem(415, f"A piece of a file has the type {PIECE}.", title="Other type")
    length = _number(request, "Content-Length")
    if length is None:
        raise Problem(411, "Content-Length must say how many bytes come.", title="Length wanted")
    start = _number(request, "Upload-Offset")
    if start is None:
        raise Problem(400, "Upload-Offset must say where the bytes go on.", title="Offset wanted")
    if start == file.received and start + length > file.size:
        raise Problem(413, f"{file.name} was declared with {file.size} bytes.", title="Too large")
    return start, length


def _number(request: HttpRequest, name: str) -> int | None:
    told = request.headers.get(name, "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 20 else None  # noqa: PLR2004 - of 64 bits


def _blocks(request: HttpRequest, length: int) -> Iterator[bytes]:
    left = length
    while left and (block := request.read(min(BLOCK, left))):
        left -= len(block)
        yield block


def _place_in(response: HttpResponse, file: ArrivingFile) -> HttpResponse:
    """Say in the headers of an answer how far a file is."""
    response["Upload-Offset"] = str(file.received)
    response["Upload-Length"] = str(file.size)
    response["Upload-Expires"] = http_date(expires_at(file.arrival).timestamp())
    return _spoken(response)


def _spoken(response: HttpResponse) -> HttpResponse:
    response["Tus-Resumable"] = TUS
    response["Cache-Control"] = "no-store"
    return response


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what can't be into problems: what is wrong, too much, or not possible now."""
    try:
        yield
    except (BadProduct, pipeline.WrongDeclaration) as error:
        raise Problem(422, str(error), title="Invalid request") from None
    except pipeline.TooMuch as error:
        raise Problem(413, str(error), title="Too large") from None
    except pipeline.NoRoom as error:
        raise Problem(NO_ROOM, str(error), title="No room") from None
    except pipeline.WrongDigest as error:
        raise Problem(WRONG_CHECKSUM, str(error), title="Wrong digest") from None
    except NotAllowed as error:
        raise refusals.wrong_state(str(error), "") from None


def _reply(request: HttpRequest, status: int, arrival: Arrival) -> Reply:
    base = base_url(request)
    shape = upload_shape(arrival, base)
    return Reply(status, upload_url(arrival, base), shape.model_dump_json())


def _channel(token: Token, name: str) -> Channel:
    channel = Channel.objects.filter(name=name).first()
    if channel is None:
        known = ", ".join(Channel.objects.values_list("name", flat=True)) or "none yet"
        raise refusals.not_understood("channel", f"there is no channel {name}; channels: {known}")
    if not token.covers(name):
        raise refusals.other_channel(name, token.channels)
    return channel


def _arrival(request: HttpRequest, upload_id: UUID) -> Arrival:
    """An upload of the very token that asks; of others nobody is told that they exist."""
    token = identified(request)
    mine = Arrival.objects.with_files().by(token.actor.name)
    found = mine.filter(pk=upload_id).first()
    if found is None:
        raise Http404(f"This token has no upload {upload_id}; what is published or old is removed.")
    if not token.covers(found.channel.name):
        raise refusals.other_channel(found.channel.name, token.channels)
    return found


def _file(request: HttpRequest, upload_id: UUID, name: str) -> ArrivingFile:
    arrival = _arrival(request, upload_id)
    for file in arrival.files.all():
        if file.name == name:
            return file
    raise Http404(f"{name} was not declared for this upload.")
