"""What a stolen worker tries: rows, files and socket are his, and the signer is a real process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from builds import signing
from builds.models import Release
from builds.pipeline import documents, naming
from builds.pipeline.publish import write_papers
from builds.storage import artifacts
from builds.tests.downloads.conftest import stored_release
from builds.tests.signing import test_refusals as refusals
from builds.tests.signing.conftest import StartSigner, demo, held_release

pytestmark = pytest.mark.django_db(transaction=True)

INITRD = refusals.INITRD


def forged_manifest(release: Release) -> None:
    """A manifest that names the thief's initrd, with the right digest of it, beside honest rows."""
    name = naming.manifest_name(release.system)
    manifest = json.loads(artifacts().read(release.key(name)) or b"")
    for artifact in manifest["artifacts"]:
        if artifact["name"] == INITRD:
            artifact["sha256"] = documents.digest(b"his")
    artifacts().replace(release.key(name), json.dumps(manifest).encode())


def file_of_another(release: Release) -> None:
    """The kernel's bytes where the initrd is; all papers stay as they are."""
    kernel = next(each for each in release.artifacts.all() if each.role == "kernel")
    artifacts().replace(release.key(INITRD), artifacts().read(kernel.key) or b"")


TRIES: list[tuple[Callable[[Release], None], str]] = [
    (refusals.unchecked, "has not passed"),
    (refusals.checks_deleted, "no check of .* was made"),
    (refusals.build_failed, "not every build"),
    (refusals.object_altered, "Its SHA-256 is"),
    (refusals.object_gone, "It is missing"),
    (file_of_another, "initrd"),
    (refusals.row_altered, "is stored with other bytes than its rows give"),
    (refusals.kernel_params_altered, "boot script"),
    (forged_manifest, "is stored with other bytes than its rows give"),
]


def answer_to(act: str, **words: Any) -> dict[str, Any]:
    """What the signer says to a question in a thief's own words."""
    return signing.signer().ask({"act": act, **words})


def sign(release: Release) -> dict[str, Any]:
    return answer_to("sign-release", release=release.pk, fence=release.fence)


def test_he_gets_no_signature_of_what_is_not_whole_and_checked(start_signer: StartSigner) -> None:
    start_signer()
    for number, (happened, word) in enumerate(TRIES):
        release = held_release(of=f"tried-{number}")
        happened(release)
        answer = sign(release)
        assert list(answer) == ["refused"], happened.__name__
        assert re.search(word, answer["refused"]), happened.__name__
    assert sign(held_release())["files"], "an honest release is signed by the same signer"


def test_he_gets_no_signature_of_texts_of_his_own(
    start_signer: StartSigner, settings: LazySettings
) -> None:
    start_signer()
    release = held_release()
    name = naming.manifest_name(release.system)
    whole: dict[str, Any] = {"release": release.pk, "fence": release.fence}
    for words in (
        {**whole, "papers": {name: "his"}},
        {**whole, "digests": {name: documents.digest(b"his")}},
        {**whole, "sequence": 9},
        {"release": str(release.pk), "fence": release.fence},
        {"release": release.pk},
    ):
        assert list(answer_to("sign-release", **words)) == ["refused"]
    for act in ("sign", "sign-text", "attest", "sign-digest", "keys"):
        assert "files" not in answer_to(act, text="his", sha256=documents.digest(b"his"))
    assert list(answer_to("sign-release", release=release.pk, fence=release.fence + 1)) == [
        "stranger"
    ]
    assert not [line for line in ledger(settings) if "demo" in line], "no number was spent either"

    signed = sign(release)
    papers = {each: artifacts().read(release.key(each)) or b"" for each in signed["digests"]}
    assert signed["digests"] == {each: documents.digest(data) for each, data in papers.items()}
    said = json.dumps([signed, answer_to("keys")])
    keys = Path(settings.SIGNER_KEYS)
    for path in keys.rglob("*"):
        if path.name in {"root", "ssh", "minisign", "cms", "ca.key"}:
            assert secret_lines(path)
            assert not [line for line in secret_lines(path) if line in said], path


def test_he_gets_no_older_number_and_no_exchanged_bytes_of_what_is_published(
    start_signer: StartSigner, settings: LazySettings
) -> None:
    start_signer()
    first, second = stored_release(demo(), "1.0"), stored_release(demo(), "2.0")
    late = held_release("3.0")
    Release.objects.filter(pk=late.pk).update(sequence=5)
    late.refresh_from_db()
    write_papers(late)
    assert sign(late)["files"]
    before = ledger(settings)
    for number in (1, 2, 4):
        # The numbers are unique among the rows, so the rows that have them go away first.
        Release.objects.filter(sequence=number).update(sequence=100 + number)
        Release.objects.filter(pk=late.pk).update(sequence=number)
        late.refresh_from_db()
        write_papers(late)
        answer = sign(late)
        assert (set(answer), answer["newest"]) == ({"refused", "newest"}, 5)
        Release.objects.filter(pk=late.pk).update(sequence=50)
        Release.objects.filter(sequence=100 + number).update(sequence=number)
    for published in (first, second):
        file_of_another(published)
        answer = answer_to("sign-again", release=published.pk)
        assert list(answer) == ["refused"]
        Release.objects.filter(pk=published.pk).update(lease_until=timezone.now())
        assert list(sign(published)) == ["stranger"], "it is no draft"
    assert ledger(settings) == before


def ledger(settings: LazySettings) -> list[str]:
    """The lines of what was signed."""
    path = Path(settings.SIGNER_KEYS) / "signed.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def secret_lines(path: Path) -> list[str]:
    """The lines of a private key that say more than what kind of key it is."""
    told = ("-----", "untrusted")
    lines = path.read_text().splitlines()
    return [line for line in lines if len(line) > 20 and not line.startswith(told)]
