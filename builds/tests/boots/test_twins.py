"""The same bytes under two names are booted once."""

from __future__ import annotations

import pytest

from builds.choices import CheckName, Role, Variant, Verdict
from builds.models import Release
from builds.pipeline.checks.kexec import tarball
from builds.pipeline.checks.subject import Subject
from builds.tests.factories import ArtifactFactory, CheckFactory

pytestmark = pytest.mark.django_db
INSTALLER = Variant.KEXEC_INSTALLER
OTHER = Variant.KEXEC_INSTALLER_NONINTERACTIVE


class Booted(Exception):
    """The check went on to boot, and asked whether it is still wanted."""


def release(other: str) -> Release:
    file = ArtifactFactory(
        role=Role.TARBALL, variant=INSTALLER, name="one.tar.gz", content="one", stored=True
    )
    ArtifactFactory(
        release=file.release,
        role=Role.TARBALL,
        variant=OTHER,
        name="two.tar.gz",
        content=other,
        stored=True,
    )
    of: Release = file.release
    return of


def subject(of: Release) -> Subject:
    def wanted() -> bool:
        raise Booted

    return Subject(of, wanted, 256, 1)


def test_tarball_whose_bytes_have_booted_passes_by_that() -> None:
    draft = release("one")
    CheckFactory(release=draft, name=CheckName.KEXEC_INSTALLER, passed=True)

    result = tarball(OTHER)(subject(draft))

    assert result.verdict == Verdict.PASSED
    assert "boot-kexec-installer" in result.reason
    assert result.seconds == 0


@pytest.mark.parametrize(("content", "passed"), [("other", True), ("one", False)])
def test_other_bytes_and_bytes_that_have_not_booted_are_booted(content: str, passed: bool) -> None:
    draft = release(content)
    CheckFactory(release=draft, name=CheckName.KEXEC_INSTALLER, passed=passed)

    with pytest.raises(Booted):
        tarball(OTHER)(subject(draft))
