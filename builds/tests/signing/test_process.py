"""The signer as a process of its own: asked by workers, killed, away, and asked nonsense."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import stat
import struct
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from builds import pipeline, signing
from builds.choices import ReleaseStatus
from builds.models import Head, Release
from builds.pipeline.reconcile import finish_moving
from builds.signer.service import Service
from builds.signing import Keyring, SignerAway, wire
from builds.storage import artifacts
from builds.tests.downloads.conftest import ready_release, stored_release
from builds.tests.factories import publish_held
from builds.tests.models.rows import NOW, channel
from builds.tests.signing.conftest import StartSigner, demo, held_release

pytestmark = pytest.mark.django_db(transaction=True)

SUMS = "SHA256SUMS-x86_64-linux"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {"act": st.sampled_from(["sign-release", "sign-again", "sign-moving", "keys", "", "make"])},
    optional={"release": JSON, "fence": JSON, "channel": JSON, "more": JSON},
)


def publish(release: Release) -> Release:
    publish_held(release, timezone.now())
    release.refresh_from_db()
    return release


def is_whole(release: Release) -> bool:
    """Whether a published release has signatures that verify, in the storage and on record."""
    keys = pipeline.known_keys()
    assert keys is not None
    ssh, mini = (artifacts().read(release.key(f"{SUMS}{end}")) for end in signing.SUFFIXES)
    key = keys.check(artifacts().read(release.key(SUMS)) or b"", ssh or b"", mini)
    return release.signed_by == key.id


def test_worker_publishes_through_the_socket_and_the_key_stays_closed(
    start_signer: StartSigner, settings: LazySettings
) -> None:
    start_signer()
    release = publish(ready_release(demo(), "1.0"))
    assert release.is_published, release.reason
    assert is_whole(release)
    keys = Path(settings.SIGNER_KEYS)
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    names = {"root", "ssh", "minisign", "cms", "ca.key"}
    private = [path for path in keys.rglob("*") if path.name in names]
    assert len(private) == 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    folders = {path.parent for path in private}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert stat.S_IMODE(Path(settings.SIGNER_SOCKET).stat().st_mode) == 0o660


@pytest.mark.parametrize(
    "point", ["signer: all looked at", "signer: number noted", "signer: signed"]
)
def test_signer_that_is_killed_anywhere_leaves_the_old_release_and_then_the_new_one(
    start_signer: StartSigner, point: str
) -> None:
    of = demo()
    before = publish(ready_release(of, "1.0"))
    killed = start_signer(point)

    release = publish(ready_release(of, "2.0"))

    assert killed.wait(20) == -signal.SIGKILL
    assert release.is_draft
    assert "the signer at" in release.reason, "its page says what it waits for"
    assert Head.objects.get().release == before
    assert is_whole(before)
    signer = start_signer()
    [step] = pipeline.reconcile(at=timezone.now())
    assert (step.task, step.row) == ("publish", release.pk)
    release = publish(release)
    assert release.is_published, release.reason
    assert (release.sequence, release.reason) == (2, "")
    assert is_whole(release)
    signer.terminate()
    assert signer.wait(20) == 0


def test_while_the_signer_is_away_publishing_waits_for_a_day_and_says_so(
    settings: LazySettings, tmp_path: Path, client: Client
) -> None:
    of = demo()
    release = ready_release(of, "1.0")
    release.builds.update(finished_at=timezone.now())
    path = str(tmp_path / "nobody.sock")
    with_signer = settings.SIGNER
    settings.SIGNER = {"BACKEND": "builds.signing.SocketSigner", "OPTIONS": {"path": path}}
    assert publish(release).is_draft
    assert "the signer at" in client.get(release.get_absolute_url()).content.decode()
    assert "does not answer: nothing is published" in client.get("/status/").content.decode()
    assert client.get("/readyz").status_code in {200, 503}

    release.builds.update(finished_at=timezone.now() - timedelta(hours=25))
    assert publish(release).status == ReleaseStatus.FAILED
    settings.SIGNER = with_signer
    other = publish(ready_release(of, "2.0"))
    assert other.is_published
    assert "until 20" in client.get("/status/").content.decode()


def test_head_that_moves_while_the_signer_is_away_is_signed_by_reconcile(
    settings: LazySettings, tmp_path: Path, client: Client
) -> None:
    of = channel()
    first, second = stored_release(of, "1.0"), stored_release(of, "2.0")
    url = "/releases/download/demo/SHA256SUMS.sig"
    signature = client.get(url).content
    with_signer = settings.SIGNER
    path = str(tmp_path / "nobody.sock")
    settings.SIGNER = {"BACKEND": "builds.signing.SocketSigner", "OPTIONS": {"path": path}}

    pipeline.withdraw(second, "it panics", by=None, at=timezone.now())

    assert client.get(url).status_code == 404, "no signature of other sums is ever given"
    assert artifacts().read("releases/download/demo/SHA256SUMS.sig") is None
    assert Head.objects.get().release == first
    settings.SIGNER = with_signer
    finish_moving()
    assert client.get(url).content not in {signature, b""}
    assert client.get(url).status_code == 200


def test_two_workers_that_ask_at_once_get_the_same(start_signer: StartSigner) -> None:
    start_signer()
    release = held_release()
    answers: list[signing.Signed] = []

    def ask() -> None:
        answers.append(signing.sign_release(release.pk, release.fence))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)


@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(question=JSON | NEARLY)
def test_no_question_ends_the_signer_or_gets_a_signature(release_keys: Path, question: Any) -> None:
    answer = Service(Keyring(release_keys)).answer(question, at=NOW)
    assert "files" not in answer
    assert set(answer) <= {"refused", "stranger", "away", "papers"}
    json.dumps(answer)


def test_no_bytes_on_the_socket_end_the_signer(
    start_signer: StartSigner, settings: LazySettings
) -> None:
    signer = start_signer()
    path = str(settings.SIGNER_SOCKET)

    @hypothesis_settings(max_examples=150, deadline=None)
    @given(data=st.binary(max_size=200) | st.tuples(st.integers(0, 2**32 - 1), st.binary()))
    def send(data: bytes | tuple[int, bytes]) -> None:
        raw = data if isinstance(data, bytes) else struct.pack(">I", data[0]) + data[1]
        with socket.socket(socket.AF_UNIX) as asking, contextlib.suppress(OSError):
            asking.settimeout(5)
            asking.connect(path)
            asking.sendall(raw)
            asking.shutdown(socket.SHUT_WR)
            with contextlib.suppress(wire.BadFrame):
                answer = wire.receive(asking, wire.LARGEST_ANSWER, within=5)
                assert "files" not in answer

    send()
    assert signer.poll() is None
    release = held_release()
    with contextlib.ExitStack() as idle:
        for _ in range(20):
            idle.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
        assert signing.sign_release(release.pk, release.fence).files, "they hold nobody up"


def test_signer_that_dies_in_the_middle_of_its_answer_is_asked_again(
    start_signer: StartSigner, settings: LazySettings, tmp_path: Path
) -> None:
    signer = start_signer()
    release = ready_release(demo(), "1.0")
    between = tmp_path / "between.sock"
    settings.SIGNER = {"BACKEND": "builds.signing.SocketSigner", "OPTIONS": {"path": str(between)}}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(between))
        listening.listen()

        def relay_half() -> None:
            asking, _address = listening.accept()
            with asking, socket.socket(socket.AF_UNIX) as asked:
                asked.connect(str(settings.SIGNER_SOCKET))
                question = wire.receive(asking, wire.LARGEST_QUESTION, within=20)
                wire.send(asked, question, within=20)
                answer = wire.receive(asked, wire.LARGEST_ANSWER, within=20)
                data = json.dumps(answer).encode()
                asking.sendall((wire.LENGTH.pack(len(data)) + data)[: len(data) // 2])
                signer.kill()
                signer.wait()

        thread = threading.Thread(target=relay_half)
        thread.start()
        release = publish(release)
        thread.join(30)

    assert not thread.is_alive()
    assert release.is_draft
    assert "has closed the connection" in release.reason
    assert not Head.objects.exists()
    start_signer()
    release = publish(release)
    assert release.is_published, release.reason
    assert (release.sequence, release.reason) == (1, "")
    assert is_whole(release)


def test_fault_of_the_signer_is_told_and_fails_no_release(
    start_signer: StartSigner, settings: LazySettings
) -> None:
    start_signer()
    current = Keyring(Path(settings.SIGNER_KEYS)).read().current
    assert current is not None
    pem = Path(settings.SIGNER_KEYS) / "release" / current.id / "cms.pem"
    whole = pem.read_text()
    pem.write_text(whole.split("-----END")[0])

    release = publish(ready_release(demo(), "1.0"))

    assert release.is_draft
    assert f"{pem} holds not the key's certificate and its CA's" in release.reason
    pem.write_text(whole)
    assert publish(release).is_published


def test_answer_that_is_none_is_taken_for_a_signer_that_is_away(tmp_path: Path) -> None:
    path = tmp_path / "liar.sock"
    liar = socket.socket(socket.AF_UNIX)
    liar.bind(str(path))
    liar.listen()

    def lie() -> None:
        connected, _ = liar.accept()
        with connected:
            connected.recv(100)
            connected.sendall(struct.pack(">I", 2**31) + b"x")

    thread = threading.Thread(target=lie)
    thread.start()
    with pytest.raises(SignerAway, match="at most"):
        signing.SocketSigner(str(path)).ask({"act": "keys"})
    thread.join()
    liar.close()
