"""Who may ask the signer's process, for how long, and how many at once."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import LazySettings

from builds import signing
from builds.signer.peer import Peer
from builds.signer.server import ASKING_TAKES, MOST_AT_ONCE, is_known
from builds.signing import SignerAway, wire
from builds.tests.signing.conftest import StartSigner

pytestmark = pytest.mark.django_db(transaction=True)

NOBODY, GROUP = 65534, 65533
# Becomes somebody else and asks for the keys; prints the names of what it is answered.
ASK_AS = """
import os, sys
from builds.signing import wire, SocketSigner
user, group, *further = map(int, sys.argv[2:])
signer = SocketSigner(sys.argv[1])
os.setgroups(further)
os.setgid(group)
os.setuid(user)
answer = signer.ask({"act": "keys"})
print(answer.get("away", "papers" if "papers" in answer else answer))
"""


def connected(path: Path, stack: contextlib.ExitStack) -> socket.socket:
    asking = stack.enter_context(socket.socket(socket.AF_UNIX))
    asking.connect(str(path))
    return asking


def test_silent_and_slow_clients_hold_their_places_for_seconds_only(
    start_signer: StartSigner, settings: LazySettings
) -> None:
    start_signer()
    path = Path(settings.SIGNER_SOCKET)
    with contextlib.ExitStack() as stack:
        begun = time.monotonic()
        held = [connected(path, stack) for _ in range(MOST_AT_ONCE + 8)]
        slow, silent = held[:4], held[4:MOST_AT_ONCE]
        for each in slow:
            each.sendall(wire.LENGTH.pack(4000))

        with pytest.raises(SignerAway, match=f"{MOST_AT_ONCE} others ask the signer already"):
            signing.key_papers()
        assert time.monotonic() - begun < ASKING_TAKES, "who is turned away is told at once"

        papers: dict[str, bytes] = {}
        unanswered = set(slow)
        while unanswered or not papers:
            assert time.monotonic() - begun < 4 * ASKING_TAKES, "they hold their places for good"
            for each in unanswered:
                with contextlib.suppress(OSError):
                    each.sendall(b" ")
            answered, _, _ = select.select(unanswered, [], [], 0.25)
            unanswered -= set(answered)
            with contextlib.suppress(SignerAway):
                papers = signing.key_papers()
        for each in (*slow, *silent):
            answer = wire.receive(each, wire.LARGEST_ANSWER, within=ASKING_TAKES / 2)
            assert answer == {"away": f"no question came within {ASKING_TAKES:g} s"}


def test_question_that_is_too_large_is_refused_before_it_is_read(
    start_signer: StartSigner, settings: LazySettings
) -> None:
    start_signer()
    for size in (wire.LARGEST_QUESTION + 1, 2**32 - 1):
        with contextlib.ExitStack() as stack:
            asking = connected(Path(settings.SIGNER_SOCKET), stack)
            asking.sendall(wire.LENGTH.pack(size))
            answer = wire.receive(asking, wire.LARGEST_ANSWER, within=ASKING_TAKES / 2)
            assert answer == {"refused": f"a message has 4096 bytes at most, and not {size}"}
    with contextlib.ExitStack() as stack:
        asking = connected(Path(settings.SIGNER_SOCKET), stack)
        padded = {"act": "keys", "more": "x" * (wire.LARGEST_QUESTION - 40)}
        wire.send(asking, padded, within=5)
        answer = wire.receive(asking, wire.LARGEST_ANSWER, within=ASKING_TAKES / 2)
        assert answer == {"refused": "the question is none that the signer knows"}


def test_message_that_nobody_takes_is_given_up_in_time() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            wire.send(ours, {"much": "x" * wire.LARGEST_ANSWER}, within=0.2)
        assert time.monotonic() - begun < 5


def test_kernel_tells_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = Peer.of(theirs)
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert peer.groups == {os.getegid(), *os.getgroups()}


@pytest.mark.parametrize(
    ("peer", "may_ask"),
    [
        (Peer(1, 0, frozenset({0})), True),
        (Peer(1, os.geteuid(), frozenset({NOBODY})), True),
        (Peer(1, NOBODY, frozenset({NOBODY, GROUP})), True),
        (Peer(1, NOBODY, frozenset({NOBODY})), False),
        (Peer(1, NOBODY, frozenset()), False),
    ],
)
def test_who_may_ask(peer: Peer, may_ask: bool) -> None:
    assert is_known(peer, GROUP) == may_ask


def test_peer_is_root_the_signer_s_user_or_of_the_socket_s_group(
    start_signer: StartSigner, settings: LazySettings, tmp_path: Path
) -> None:
    """Only root can become somebody else; anybody else asks as who he is."""
    start_signer()
    path = Path(settings.SIGNER_SOCKET)
    if os.geteuid():
        assert "keys.json" in signing.key_papers()
        return
    os.chown(path, -1, GROUP)
    path.chmod(0o666)  # too far, so that the mode keeps nobody out
    # The folders above are root's own, so the name leads there by an open one.
    folder = os.open(path.parent, os.O_PATH)
    path.parent.chmod(0o711)

    def ask(*who: int) -> str:
        name = f"/proc/self/fd/{folder}/{path.name}"
        done = subprocess.run(
            [sys.executable, "-c", ASK_AS, name, *map(str, who)],
            cwd=settings.BASE_DIR,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings"},
            pass_fds=[folder],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    try:
        refused = f"the signer answers group {GROUP} and not user {NOBODY}"
        assert ask(NOBODY, NOBODY) == refused
        assert ask(NOBODY, NOBODY, NOBODY - 2) == refused
        assert ask(NOBODY, GROUP) == "papers"
        assert ask(NOBODY, NOBODY, NOBODY - 2, GROUP) == "papers", "a further group is one too"
        assert ask(0, 0) == "papers"
    finally:
        os.close(folder)
    said = (tmp_path / "signer.log").read_text()
    lines = [line for line in said.splitlines() if "turned away process" in line]
    assert len(lines) == 2
    assert f"of user {NOBODY}, groups {NOBODY}: the socket is for group {GROUP}" in lines[0]
