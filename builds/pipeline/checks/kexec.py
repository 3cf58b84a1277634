"""Boots what is made for kexec, from a running Linux that has nothing but BusyBox."""

from __future__ import annotations

import re
import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from builds.choices import Role, Variant, Verdict
from builds.emulator.machine import Machine
from builds.emulator.ssh import Answer, SshClient, SshMissingError
from builds.emulator.watch import BootFailed, BootResult, Watched, boot
from builds.models import Artifact, Check
from builds.pipeline.checks import linux
from builds.pipeline.checks.server import serving_release
from builds.pipeline.checks.signs import SSH
from builds.pipeline.checks.subject import Subject, refuse_if_damaged

_WORD = "check.boot"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


def tarball(variant: Variant) -> Callable[[Subject], BootResult]:
    """The check of a tarball: fetched, unpacked on the way, run, as nixos-anywhere does it."""

    def check(subject: Subject) -> BootResult:
        artifact = subject.artifact(Role.TARBALL, variant)
        twin = _booted_twin(artifact)
        if twin is not None:
            refuse_if_damaged(artifact)
            return _as_said(twin)
        flag = "-z" if artifact.name.endswith(".gz") else "-J"
        start = "wget -q -O- {url} | tar -x " + flag + " -f- -C /root && /root/kexec/run {append}"
        return _kexec(subject, artifact, start)

    return check


def _booted_twin(artifact: Artifact) -> Check | None:
    """The check of this release that has booted the very bytes under another name."""
    same = artifact.release.artifacts.filter(sha256=artifact.sha256, role=Role.TARBALL)
    names = [f"boot-{variant}" for variant in same.values_list("variant", flat=True)]
    return artifact.release.checks.passed().filter(name__in=names).exclude(seconds=0).first()


def _as_said(twin: Check) -> BootResult:
    return BootResult(
        verdict=Verdict.PASSED,
        seconds=0,
        accelerator=twin.accelerator,
        reason=f"The same bytes passed {twin.name}.",
        console="",
        memory=twin.memory,
    )


def bundle(subject: Subject) -> BootResult:
    """The bundle: fetched and run."""
    artifact = subject.artifact(Role.BUNDLE, Variant.KEXEC_BUNDLE)
    start = "cd /root && wget -q -O bundle {url} && chmod +x bundle && ./bundle {append}"
    return _kexec(subject, artifact, start)


@dataclass(frozen=True, slots=True)
class _Jump:
    """From the running Linux into the release: what is run for that, and how to look."""

    client: SshClient
    start: str
    word: str
    marker: str
    limit: float


def _kexec(subject: Subject, artifact: Artifact, start: str) -> BootResult:
    refuse_if_damaged(artifact)
    before = linux.running_linux(subject.system, subject.cancelled)
    with serving_release(subject.release) as shelf, _client() as client:
        word = f"{_WORD}={secrets.token_hex(8)}"
        append = f"--append {word}"
        url = shlex.quote(shelf.url(artifact.key))
        command = start.format(url=url, append=append)
        jump = _Jump(client, command, word, subject.marker, subject.limit)
        machine = Machine(
            system=subject.system,
            memory=subject.memory,
            kernel=before.kernel,
            initrd=before.initrd,
            append=f"console={subject.system.serial_console}",
            isolated=False,
            forwards=(SSH,),
        )
        result = boot(
            machine,
            marker=f"{linux.MARKER}{subject.system}",
            timeout=subject.limit,
            cancelled=subject.cancelled,
            then=lambda watched: _jump(watched, jump),
        )
    if result.verdict == Verdict.PASSED:
        said = "The second kernel is up, with the host key and the authorized key of the first."
        return replace(result, reason=said)
    return result


def _jump(watched: Watched, jump: _Jump) -> None:
    port = watched.guest.port(SSH.guest_port)
    _let_in(watched, jump.client)
    first = _until_answered(watched, jump.client, port, "the running Linux let us in by ssh")
    said = jump.client.run(port, jump.start, timeout=jump.limit)
    if said.code != 0 or "machine will boot into nixos" not in said.output:
        words = said.errors or said.output or f"it ended with exit code {said.code}"
        raise BootFailed(Verdict.LOADER, f"It did not kexec: {_one_line(words)}")
    watched.until_said(jump.marker)
    _look_again(watched, jump, port, first)


def _let_in(watched: Watched, client: SshClient) -> None:
    """Type a key of ours into the shell of the running Linux."""
    guest = watched.guest
    guest.send(f"\nmkdir -p /root/.ssh; echo '{client.public_key}' > /root/.ssh/authorized_keys\n")
    guest.send("echo key-is-$((40 + 2))\n")
    watched.until_said("key-is-42")


def _look_again(watched: Watched, jump: _Jump, port: int, first: str) -> None:
    """Make sure that another kernel runs, that it is the one we started, and knows our keys."""
    second = _until_answered(
        watched, jump.client, port, "the second kernel let us in by ssh with the key of the first"
    )
    if second == first:
        raise BootFailed(Verdict.HANDOVER, "The same kernel still runs: nothing was kexec'd.")
    command_line = jump.client.run(port, "cat /proc/cmdline").output
    if jump.word not in command_line.split():
        raise BootFailed(
            Verdict.HANDOVER, f"The second kernel was not told {jump.word}: {command_line}"
        )


def _until_answered(watched: Watched, client: SshClient, port: int, what: str) -> str:
    """The boot id of whoever lets us in; a host key that is not the first one's is no answer."""

    def look() -> str | None:
        answer = client.run(port, f"cat {_BOOT_ID}", timeout=20)
        _refuse_strangers(answer)
        return answer.output if answer.code == 0 and answer.output else None

    return watched.until(look, what)


def _refuse_strangers(answer: Answer) -> None:
    if "Host key verification failed" in answer.errors:
        raise BootFailed(Verdict.HANDOVER, "The second kernel has another ssh host key.")
    if "Permission denied" in answer.errors:
        raise BootFailed(Verdict.HANDOVER, "The authorized key does not let anybody in.")


@contextmanager
def _client() -> Iterator[SshClient]:
    with tempfile.TemporaryDirectory(prefix="ssh-") as folder:
        try:
            yield SshClient.make(Path(folder))
        except SshMissingError as missing:
            raise BootFailed(Verdict.ERROR, str(missing)) from missing


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", "; ", text.strip())[-500:]
