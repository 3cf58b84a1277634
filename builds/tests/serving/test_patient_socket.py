"""A connection that holds what its client does not take: in which order, and how much."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import patient_socket
from deploy.patient_socket import BLOCK, MOST_HELD, PatientSocket

FILE = bytes(range(256)) * (BLOCK // 128)  # two blocks
is_short = False


@pytest.fixture
def pair() -> Iterator[tuple[PatientSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with PatientSocket(ours, lambda: is_short) as patient, theirs:
        yield patient, theirs


def _taken(sock: socket.socket) -> bytes:
    data = b""
    try:
        while more := sock.recv(2**20, socket.MSG_DONTWAIT):
            data += more
    except BlockingIOError:
        pass
    return data


def _fill(patient: PatientSocket) -> None:
    while patient.flush():
        patient.sendall(b"a" * 4096)


def test_what_is_held_goes_out_in_its_order(
    pair: tuple[PatientSocket, socket.socket], tmp_path: Path
) -> None:
    patient, theirs = pair
    (tmp_path / "file").write_bytes(FILE)
    with (tmp_path / "file").open("rb") as file:
        patient.is_corked = True
        for piece in (b"head", b"", b"more"):
            patient.sendall(piece)
        patient.sendfile(file, 1, len(FILE) - 2)
        patient.sendall(b"tail")
        assert _taken(theirs) == b"", "it is corked"
        came = b""
        while not patient.settle(0):
            came += _taken(theirs)
        came += _taken(theirs)
    assert came == b"headmore" + FILE[1:-1] + b"tail"


def test_a_line_of_a_growing_answer_is_sent_at_once_and_what_waits_goes_with_the_next(
    pair: tuple[PatientSocket, socket.socket],
) -> None:
    patient, theirs = pair
    patient.sendall(b"line\n")
    assert _taken(theirs) == b"line\n"
    _fill(patient)
    _taken(theirs)
    patient.sendall(b"b\n")
    assert _taken(theirs).endswith(b"b\n")


def test_more_than_may_be_held_waits_for_its_client(
    pair: tuple[PatientSocket, socket.socket],
) -> None:
    patient, theirs = pair
    long = os.urandom(MOST_HELD + 2**20)
    came = bytearray()

    def read() -> None:
        while len(came) < len(long):
            came.extend(theirs.recv(2**16))

    reader = threading.Thread(target=read)
    reader.start()
    patient.sendall(long)
    assert len(came) > 2**19, "it waited until so much was read"
    while not patient.settle(1):
        pass
    reader.join(5)
    assert came == long


@pytest.mark.parametrize("others_wait", [True, False])
def test_who_takes_nothing_of_more_than_may_be_held_is_given_up(
    pair: tuple[PatientSocket, socket.socket], monkeypatch: pytest.MonkeyPatch, others_wait: bool
) -> None:
    monkeypatch.setitem(globals(), "is_short", others_wait)
    monkeypatch.setattr(patient_socket, "HURRY", 0.05)
    if not others_wait:
        pair[0].settimeout(0.2)
    with pytest.raises(ConnectionResetError, match="too slow"):
        pair[0].sendall(bytes(MOST_HELD + 2**22))


def test_a_file_that_was_broken_off_tells_where(
    pair: tuple[PatientSocket, socket.socket], tmp_path: Path
) -> None:
    patient, theirs = pair
    (tmp_path / "file").write_bytes(FILE)
    with (tmp_path / "file").open("rb") as file:
        patient.sendfile(file, 0, len(FILE))
        assert not patient.flush()
        patient.drop()
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == len(_taken(theirs)) > 0
        assert patient.flush(), "nothing is held"
        patient.is_corked = True
        patient.drop()
        patient.sendall(b"why")
        assert _taken(theirs).endswith(b"why"), "it may still be told"


def test_a_file_that_has_become_shorter_ends_the_connection(
    pair: tuple[PatientSocket, socket.socket], tmp_path: Path
) -> None:
    patient, _ = pair
    (tmp_path / "file").write_bytes(b"short")
    with (tmp_path / "file").open("rb") as file:
        patient.sendfile(file, 0, 10)
        with pytest.raises(OSError, match="shorter"):
            patient.flush()
