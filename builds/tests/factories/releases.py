# mypy: allow-subclassing-any
"""Releases in any state."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from builds.choices import System, Trigger
from builds.models import Release
from builds.tests.factories.rows import NOW, ChannelFactory
from builds.tests.factories.states import lead

if TYPE_CHECKING:
    # factory-boy's own types say that calling a factory gives a factory.
    factory: Any
    DjangoModelFactory: Any
else:
    import factory
    from factory.django import DjangoModelFactory


class ReleaseFactory(DjangoModelFactory):
    """A release as its traits say; see the package."""

    class Meta:
        model = Release

    class Params:
        pinned = factory.Trait(state="pinned")
        finished = factory.Trait(state="finished", stored=True)
        published = factory.Trait(state="published")
        withdrawn = factory.Trait(state="withdrawn")
        failed = factory.Trait(state="failed")
        cancelled = factory.Trait(state="cancelled")
        skipped = factory.Trait(state="skipped")

    channel = factory.SubFactory(ChannelFactory)
    system = System.X86_64
    trigger = Trigger.SCHEDULE
    state = "draft"
    at = NOW - timedelta(days=2)
    version = factory.Sequence(lambda n: f"26.05.20260{n % 9 + 1}{n % 20 + 10}.{n:07x}")
    reason = "netboot failed: The builder of initrd ended with exit code 1."
    excerpt = ""
    queue = True
    stored = False
    sandboxed = True
    sizes = factory.LazyFunction(dict)

    @classmethod
    def _create(cls, model: type[Release], *args: Any, **fields: Any) -> Release:
        own = {
            name: fields.pop(name)
            for name in (
                "state",
                "at",
                "version",
                "reason",
                "excerpt",
                "queue",
                "stored",
                "sandboxed",
                "sizes",
            )
        }
        release: Release = super()._create(model, *args, **fields)
        begun_at = own["at"] - timedelta(minutes=20)
        Release.objects.filter(pk=release.pk).update(created_at=begun_at)
        release.refresh_from_db()
        lead(release, **own)
        return release
