"""What the signer does not sign, whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from builds import signing
from builds.choices import BuildStatus, CheckName, ReleaseStatus, Verdict
from builds.models import Artifact, Build, Check, Head, Release
from builds.pipeline import documents, naming
from builds.pipeline.publish import write_papers
from builds.signer.service import Service
from builds.signing import Keyring, Ledger, NumberSpent, Place, Refused, SignerAway, Stranger
from builds.storage import artifacts
from builds.tests.downloads.conftest import ready_release, stored_release
from builds.tests.factories import CheckFactory, publish_held
from builds.tests.models.rows import NOW, channel
from builds.tests.signing.conftest import demo, held_release

pytestmark = pytest.mark.django_db

INITRD = "initrd-x86_64-linux"


def sign(release: Release) -> signing.Signed:
    return signing.sign_release(release.pk, release.fence)


def unchecked(release: Release) -> None:
    CheckFactory(release=release)


def check_failed(release: Release) -> None:
    CheckFactory(release=release, verdict=Verdict.HUNG)


def checks_deleted(release: Release) -> None:
    type(release.channel).objects.update(checks=["boot-netboot-direct"])


def build_failed(release: Release) -> None:
    release.builds.update(status=BuildStatus.FAILED)


def build_running(release: Release) -> None:
    Build.objects.create(release=release, variant="iso", attribute="x")


def object_altered(release: Release) -> None:
    data = artifacts().read(release.key(INITRD)) or b""
    artifacts().replace(release.key(INITRD), data.replace(b"of", b"OF"))


def object_longer(release: Release) -> None:
    data = artifacts().read(release.key(INITRD)) or b""
    artifacts().replace(release.key(INITRD), data + b"\n")


def object_gone(release: Release) -> None:
    artifacts().delete(release.key(INITRD))


def row_altered(release: Release) -> None:
    Artifact.objects.filter(name=INITRD).update(sha256="0" * 64)


def row_removed(release: Release) -> None:
    Artifact.objects.filter(name=INITRD).delete()


def row_from_elsewhere(release: Release) -> None:
    Artifact.objects.filter(name=INITRD).update(build=None)


def kernel_params_altered(release: Release) -> None:
    release.builds.update(kernel_params="init=/bin/sh")


def revision_altered(release: Release) -> None:
    Release.objects.filter(pk=release.pk).update(revision="cd" * 20)


def paper_altered(release: Release) -> None:
    name = naming.sums_name(release.system)
    artifacts().replace(release.key(name), documents.release_sums(release).upper())


def number_missing(release: Release) -> None:
    Release.objects.filter(pk=release.pk).update(sequence=None)


def boot_only_told(release: Release) -> None:
    CheckFactory(release=release, verdict=Verdict.HUNG, holds_back=False)


def builds_uncompared(release: Release) -> None:
    Check.objects.plan(release, [CheckName.REPRODUCED], gates=True, holds_back=False)


@pytest.mark.parametrize(
    ("happened", "word"),
    [
        (boot_only_told, "has not passed"),
        (builds_uncompared, "reproduced of .* has not passed"),
        (unchecked, "has not passed"),
        (check_failed, "has not passed"),
        (checks_deleted, "no check of .* was made"),
        (build_failed, "not every build"),
        (build_running, "not every build"),
        (object_altered, "Its SHA-256 is"),
        (object_longer, "more than its"),
        (object_gone, "It is missing"),
        (row_altered, "is stored with other bytes than its rows give"),
        (row_removed, "boot script"),
        (row_from_elsewhere, "boot script|came from no build"),
        (kernel_params_altered, "boot script"),
        (revision_altered, "is stored with other bytes than its rows give"),
        (paper_altered, "is stored with other bytes than its rows give"),
        (number_missing, "no version, number or source"),
    ],
)
def test_what_is_not_whole_and_checked_is_refused(
    happened: Callable[[Release], None], word: str
) -> None:
    release = held_release()
    happened(release)
    with pytest.raises(Refused, match=word):
        sign(release)
    assert sign(held_release(of="other")).files, "others are still signed"


def test_release_whose_builds_differ_is_signed_where_its_channel_wants_only_to_be_told() -> None:
    release = held_release()
    builds_uncompared(release)
    release.checks.filter(name=CheckName.REPRODUCED).update(verdict=Verdict.DIFFERS)
    write_papers(release)
    assert sign(release).files
    release.checks.update(holds_back=True)
    with pytest.raises(Refused, match=r"reproduced of .* has not passed"):
        sign(release)


def test_stranger_to_the_lease_gets_nothing() -> None:
    release = held_release()
    for fence in (release.fence + 1, release.fence - 1, 0):
        with pytest.raises(Stranger):
            signing.sign_release(release.pk, fence)
    release.let_go()
    with pytest.raises(Stranger, match="nobody holds"):
        sign(release)


def test_published_release_is_no_draft_to_be_signed() -> None:
    release = stored_release(channel(), "1.0")
    Release.objects.filter(pk=release.pk).update(lease_until=timezone.now())
    with pytest.raises(Stranger):
        sign(release)


def test_manifest_past_its_time_is_refused(settings: LazySettings) -> None:
    release = held_release()
    Release.objects.filter(pk=release.pk).update(pinned_at=NOW.replace(year=1900))
    with pytest.raises(Refused, match="past its time"):
        sign(release)


def test_same_release_signed_again_gives_the_same_bytes() -> None:
    release = held_release()
    assert sign(release) == sign(release)


def test_number_is_signed_once_and_never_goes_back(signer_keys: Path) -> None:
    first = held_release()
    sign(first)
    # The database forgets the first one: the next gets its number.
    Release.objects.filter(pk=first.pk).delete()
    second = held_release("2.0")
    assert second.sequence == 1
    with pytest.raises(NumberSpent, match="number 1 was signed with other bytes") as spent:
        sign(second)
    assert spent.value.newest == 1

    publish_held(release_let_go(second), NOW)

    assert second.is_published, second.reason
    assert second.sequence == 2
    assert Ledger(signer_keys / "signed.jsonl").digests(Place("demo", "x86_64-linux", 2))


def release_let_go(release: Release) -> Release:
    release.let_go()
    release.refresh_from_db()
    return release


def test_rolled_back_database_gets_no_older_number_signed() -> None:
    for version in ("1.0", "2.0", "3.0"):
        stored_release(demo(), version)
    Head.objects.all().delete()
    Release.objects.all().delete()
    late = held_release("4.0")
    assert late.sequence == 1
    with pytest.raises(NumberSpent) as spent:
        sign(late)
    assert spent.value.newest == 3


def test_release_that_the_signer_refuses_fails_and_says_why() -> None:
    of = channel()
    before, release = stored_release(of, "1.0"), ready_release(of, "2.0")
    object_altered(release)

    publish_held(release, NOW)

    assert release.status == ReleaseStatus.FAILED
    assert "The signer refuses it: initrd" in release.reason
    assert Head.objects.get().release == before


def test_heads_are_signed_only_as_they_stand() -> None:
    of = channel()
    stored_release(of, "1.0")
    assert signing.sign_moving("demo").files
    with pytest.raises(Refused, match="no release to point to"):
        signing.sign_moving("nowhere")
    Release.objects.update(status=ReleaseStatus.WITHDRAWN)
    with pytest.raises(Refused, match="is not published"):
        signing.sign_moving("demo")


def test_head_whose_rows_were_altered_is_not_signed() -> None:
    release = stored_release(channel(), "1.0")
    row_altered(release)
    with pytest.raises(Refused, match="no release key that the root key names has signed it"):
        signing.sign_moving("demo")


def test_without_a_key_nothing_is_signed_and_asking_again_may_help(signer_keys: Path) -> None:
    release = held_release()
    keyring = Keyring(signer_keys)
    current = keyring.read().current
    assert current is not None
    (signer_keys / "release" / current.id).rename(signer_keys / "away")
    with pytest.raises(SignerAway, match=r"the private half of .* is gone: keys rotate"):
        sign(release)
    (signer_keys / "away").rename(signer_keys / "release" / current.id)
    assert sign(release).key == current.id


def test_fault_that_nobody_thought_of_decides_nothing(signer_keys: Path) -> None:
    class Faulty(Keyring):
        def papers(self) -> dict[str, bytes]:
            return {"keys.json": bytes([1 // 0])}

    answer = Service(Faulty(signer_keys)).answer({"act": "keys"}, at=NOW)
    assert answer == {"away": "the signer has a fault, which its log tells: ZeroDivisionError"}


def test_ledger_outlives_a_line_that_a_killed_signer_left_half_written(signer_keys: Path) -> None:
    ledger = Ledger(signer_keys / "signed.jsonl")
    ledger.note(Place("demo", "x86_64-linux", 7), {"a": "b"}, "key")
    with (signer_keys / "signed.jsonl").open("ab") as file:
        file.write(b'{"channel":"demo","sys')
    ledger.note(Place("demo", "x86_64-linux", 8), {"a": "c"}, "key")
    assert ledger.digests(Place("demo", "x86_64-linux", 7)) == {"a": "b"}
    with pytest.raises(signing.Spent):
        ledger.note(Place("demo", "x86_64-linux", 7), {"a": "x"}, "key")
    ledger.note(Place("demo", "x86_64-linux", 7), {"a": "b"}, "key")
    ledger.note(Place("demo", "aarch64-linux", 1), {"a": "x"}, "key")
