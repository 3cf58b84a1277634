"""What programs upload becomes a release, or is refused and removed."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as portal
from django.utils import timezone

from builds import pipeline
from builds.choices import Origin, ReleaseStatus, Scope, Standing, Variant
from builds.models import Arrival, ArrivedPart, ArrivingFile, Channel, Release
from builds.storage import INCOMING, artifacts
from builds.tests.factories import TargetFactory
from builds.tests.pipeline.driver import drive
from builds.tests.tokens.conftest import new_token, owner
from builds.tests.uploads.conftest import (
    INITRD,
    KERNEL,
    PIECE,
    SYSTEM,
    MakeProgram,
    Program,
    netboot,
    wish,
)

pytestmark = pytest.mark.django_db(transaction=True)

MIB = 1024 * 1024
UPLOADS = "/api/v1/uploads/"


def incoming() -> list[str]:
    return [file.key for file in artifacts().walk(INCOMING)]


def parts_of(name: str) -> list[tuple[int, int]]:
    parts = ArrivedPart.objects.filter(file__name=name)
    return [(part.start, part.size) for part in parts]


def send_all(program: Program, upload: str, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        answer = program.send(upload, name, data)
        assert answer.status == 204, answer.body


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_upload_that_broke_off_is_resumed_and_published(
    make_program: MakeProgram, where: str, request: pytest.FixtureRequest
) -> None:
    program = make_program(**(request.getfixturevalue("to_s3") if where == "s3" else {}))
    large = os.urandom(37 * MIB + 5)
    files = netboot(large)
    upload = program.declare(files, source="https://ci.example.org/run/7")

    program.break_off(upload, INITRD, large, after=20 * MIB)
    here = settled(lambda: program.offset(upload, INITRD), 16 * MIB)
    assert here <= 20 * MIB
    assert program.send(upload, INITRD, large[here:], here).status == 204
    send_all(program, upload, {name: data for name, data in files.items() if name != INITRD})
    finished = program.ask("POST", f"{upload}finish/")
    again = program.ask("POST", f"{upload}finish/")
    release = drive(Release.objects.get())

    assert (finished.status, again.status) == (202, 202), finished.body
    assert finished.json["id"] == again.json["id"] == release.pk
    assert release.status == ReleaseStatus.PUBLISHED, release.reason
    assert (release.origin, release.source) == (Origin.UPLOADED, "https://ci.example.org/run/7")
    for name in (KERNEL, INITRD):
        stored = artifacts().read(release.key(name))
        assert hashlib.sha256(stored or b"").digest() == hashlib.sha256(files[name]).digest()


def settled(offset: Callable[[], int], least: int) -> int:
    """The offset once nothing more comes: the portal reads on for a moment."""
    before, deadline = -1, time.monotonic() + 60
    while (now := offset()) != before or now < least:
        assert time.monotonic() < deadline
        before = now
        time.sleep(0.5)
    return now


def test_wrong_bytes_are_refused_and_removed_and_the_right_ones_taken(program: Program) -> None:
    upload = program.declare(netboot())

    wrong = program.send(upload, INITRD, b"secret")

    assert wrong.status == 460
    assert wrong.headers["Content-Type"] == "application/problem+json"
    assert "was declared" in wrong.json["detail"]
    assert incoming() == []
    assert program.offset(upload, INITRD) == 0
    assert program.send(upload, INITRD, b"initrd").status == 204


def test_pieces_must_follow_each_other(program: Program) -> None:
    upload = program.declare(netboot())
    assert program.send(upload, INITRD, b"ini").status == 204

    early, late = program.send(upload, INITRD, b"x", 1), program.send(upload, INITRD, b"x", 5)

    assert (early.status, late.status) == (409, 409)
    assert early.headers["Upload-Offset"] == late.headers["Upload-Offset"] == "3"
    assert program.send(upload, INITRD, b"trd", 3).status == 204
    assert parts_of(INITRD) == [(0, 3), (3, 3)]
    assert program.send(upload, INITRD, b"initrd").status == 409, "it is whole"


def test_more_bytes_than_declared_are_not_read(program: Program) -> None:
    upload = program.declare(netboot())
    assert program.send(upload, INITRD, b"initrd and more").status == 413
    assert program.offset(upload, INITRD) == 0


def test_piece_of_another_form_is_refused(program: Program) -> None:
    path = f"{program.declare(netboot())}{INITRD}"
    ask = program.ask
    assert ask("PATCH", path, b"i", Upload_Offset="0").status == 415
    assert ask("PATCH", path, b"i", Content_Type=PIECE).status == 400
    other = ask("PATCH", path, b"i", Content_Type=PIECE, Upload_Offset="0", Tus_Resumable="0.2")
    assert other.status == 412
    assert ask("PATCH", path.replace("initrd", "other"), b"i").status == 404


def test_limits_are_told_before_anything_is_sent(make_program: MakeProgram) -> None:
    program = make_program(UPLOAD_BYTES_MOST=1000, UPLOAD_FILES_MOST=3, UPLOADS_AT_ONCE=2)
    large = program.ask("POST", UPLOADS, wish(netboot(b"x" * 1000)))
    tarballs = {f"nixos-kexec-installer-{SYSTEM}.tar.gz": b"t"}
    many = program.ask("POST", UPLOADS, wish(netboot() | tarballs))
    full = wish(netboot(b"x"))
    statuses = [program.ask("POST", UPLOADS, full).status for _ in range(3)]

    assert (large.status, many.status) == (413, 413)
    assert "1000" in large.json["detail"]
    assert statuses == [201, 201, 413]


def test_full_disk_is_told_before_anything_is_sent(make_program: MakeProgram) -> None:
    program = make_program(DISK_FREE_LEAST=2**60)
    assert program.ask("POST", UPLOADS, wish(netboot())).status == 507


def test_same_bytes_from_two_at_once_are_kept_once(program: Program) -> None:
    large = os.urandom(20 * MIB)
    upload = program.declare(netboot(large))

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: program.send(upload, INITRD, large), range(4)))

    statuses = sorted(answer.status for answer in answers)
    assert set(statuses) <= {204, 409}
    here = program.offset(upload, INITRD)
    if here < len(large):  # each won a part, and nobody the last one
        assert program.send(upload, INITRD, large[here:], here).status == 204
    file = ArrivingFile.objects.get(name=INITRD)
    assert file.verified_at is not None
    assert sum(size for _, size in parts_of(INITRD)) == len(large)
    assert sorted(incoming()) == sorted(ArrivedPart.objects.values_list("key", flat=True))


def test_large_file_is_never_held_in_memory(program: Program) -> None:
    large = os.urandom(MIB) * 160
    upload = program.declare(netboot(large))
    program.send(upload, KERNEL, b"kernel")  # what is loaded once is there
    before = peak_of_children(program.pid)

    assert program.send(upload, INITRD, large).status == 204

    assert peak_of_children(program.pid) - before < 96 * MIB


def peak_of_children(pid: int) -> int:
    """The most memory, in bytes, that the web processes have had."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    texts = [Path(f"/proc/{child}/status").read_text() for child in children]
    found = [re.search(r"VmHWM:\s+(\d+) kB", text) for text in texts]
    return max(int(match[1]) * 1024 for match in found if match)


WRONG = {
    "no artifact's name": ({"evil.sh": b"x"}, "not the name of an artifact"),
    "a name that climbs": ({"../bzImage": b"x"}, "not the name of an artifact"),
    "no initrd": ({KERNEL: b"k"}, "offers no initrd"),
    "a variant it has not": (netboot() | {f"kexec-bundle-{SYSTEM}": b"b"}, "has no kexec-bundle"),
}


def test_declaration_that_can_not_be_a_release_is_refused(program: Program) -> None:
    for files, words in WRONG.values():
        answer = program.ask("POST", UPLOADS, wish(files))
        assert (answer.status, words in answer.json["detail"]) == (422, True), answer.body
    empty = wish(netboot())
    empty["files"][1]["size"] = 0
    assert program.ask("POST", UPLOADS, empty).status == 422
    assert program.ask("POST", UPLOADS, wish(netboot(), version="../up")).status == 422
    assert program.ask("POST", UPLOADS, wish(netboot(), channel="nope")).status == 422
    assert not Arrival.objects.exists()


def test_missing_variant_wants_to_be_meant(program: Program, demo: Channel) -> None:
    TargetFactory(channel=demo, variant=Variant.ISO)
    refused = program.ask("POST", UPLOADS, wish(netboot()))
    assert (refused.status, "also has iso" in refused.json["detail"]) == (422, True)
    assert program.declare(netboot(), partial=True)


def test_release_is_made_of_whole_uploads_and_of_one_at_a_time(
    program: Program, demo: Channel
) -> None:
    upload = program.declare(netboot())
    early = program.ask("POST", f"{upload}finish/")
    assert (early.status, INITRD in early.json["detail"]) == (409, True)
    send_all(program, upload, netboot())
    other = Release.objects.create(channel=demo, system=SYSTEM, trigger="admin")

    busy = program.ask("POST", f"{upload}finish/")
    other.cancel("not wanted", at=timezone.now())
    free = program.ask("POST", f"{upload}finish/")

    assert (busy.status, free.status) == (409, 202)
    assert "in the making" in busy.json["detail"]


def test_file_that_nobody_could_check_is_checked_at_the_end(program: Program) -> None:
    upload = program.declare(netboot())
    send_all(program, upload, netboot())
    ArrivingFile.objects.filter(name=INITRD).update(verified_at=None, sha256="0" * 64)

    answer = program.ask("POST", f"{upload}finish/")

    assert answer.status == 460
    assert program.offset(upload, INITRD) == 0
    assert not Release.objects.exists()


def test_upload_is_only_for_whom_it_is(program: Program) -> None:
    upload = program.declare(netboot())
    bob = owner("bob")
    wrong = {
        404: new_token(Scope.UPLOAD, of=bob)[1],
        403: new_token(Scope.TRIGGER, of=bob, name="trigger")[1],
        401: "nonsense",
    }
    for status, text in wrong.items():
        stranger = Program(program.url, text)
        assert stranger.ask("GET", upload).status == status
        assert stranger.ask("DELETE", upload).status == status
        assert stranger.send(upload, INITRD, b"initrd").status == status
    operator = owner("eve", Standing.OPERATOR)
    eve = Program(program.url, new_token(Scope.UPLOAD, of=operator)[1])
    elsewhere = new_token(Scope.UPLOAD, of=bob, name="other", channels=["nixos"])[1]
    assert eve.ask("POST", UPLOADS, wish(netboot())).status in {201, 403}
    assert Program(program.url, elsewhere).ask("POST", UPLOADS, wish(netboot())).status == 403
    assert program.offset(upload, INITRD) == 0


def test_upload_that_is_given_up_leaves_nothing(program: Program) -> None:
    upload = program.declare(netboot())
    send_all(program, upload, netboot())
    assert program.ask("GET", upload).json["files"][1]["is_complete"]

    assert program.ask("DELETE", upload).status == 204

    assert program.ask("GET", upload).status == 404
    assert incoming() == []


def test_upload_that_nobody_goes_on_with_is_collected(program: Program) -> None:
    upload = program.declare(netboot())
    program.send(upload, INITRD, b"ini")
    now = timezone.now()
    artifacts().write_once(f"{INCOMING}/arrival-0-0-stray", b"of a process that died")

    first = [*pipeline.collect(at=now + timedelta(hours=47))]
    kept = Arrival.objects.exists()
    [*pipeline.collect(at=now + timedelta(hours=49))]

    assert kept
    assert [act for act in first if "parts of uploads" in str(act)]
    assert not Arrival.objects.exists()
    assert incoming() == []


def test_tus_client_is_told_what_is_spoken(program: Program) -> None:
    answer = program.ask("OPTIONS", UPLOADS)
    assert answer.status == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Max-Size"] == str(portal.UPLOAD_BYTES_MOST)


def test_recipe_of_the_docs_runs_as_pasted(program: Program, tmp_path: Path) -> None:
    text = (portal.BASE_DIR / "docs" / "elsewhere.md").read_text()
    [recipe] = [
        block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "PATCH" in block
    ]
    (tmp_path / "from-ci").mkdir()
    for name, data in netboot(os.urandom(2 * MIB)).items():
        (tmp_path / "from-ci" / name).write_bytes(data)
    environment: dict[str, Any] = os.environ | {"PORTAL": program.url, "TOKEN": program.token}

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", recipe],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert drive(Release.objects.get()).status == ReleaseStatus.PUBLISHED
