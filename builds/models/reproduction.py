"""Whether a release came out the same when it was built again: said in one way everywhere."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from builds.choices import CheckName, Verdict
from builds.models.release import Release


class Reproduction(models.TextChoices):
    """What is known of that here."""

    REPRODUCED = "reproduced", _("reproduced")
    DIFFERS = "differs", _("differs")
    UNCHECKABLE = "could not be checked", _("could not be checked")
    PENDING = "not checked yet", _("not checked yet")
    UNCHECKED = "not checked", _("not checked")
    ELSEWHERE = "not checked here", _("not checked here")

    @classmethod
    def found(cls) -> frozenset[Reproduction]:
        """What a check of this portal has come to."""
        return frozenset({cls.REPRODUCED, cls.DIFFERS, cls.UNCHECKABLE})

    @classmethod
    def of(cls, release: Release) -> Reproduction:
        """What is known of a release (prefetch its checks and its transfer).

        Of one that was made elsewhere nothing, whatever another portal says of it.
        """
        if not release.is_built_here or getattr(release, "transfer", None) is not None:
            return cls.ELSEWHERE
        made = (check for check in release.checks.all() if check.name == CheckName.REPRODUCED)
        check = next(made, None)
        if check is None:
            return cls.UNCHECKED
        if check.verdict in {Verdict.PENDING, Verdict.RUNNING}:
            return cls.PENDING
        ends = {Verdict.PASSED: cls.REPRODUCED, Verdict.DIFFERS: cls.DIFFERS}
        return ends.get(Verdict(check.verdict), cls.UNCHECKABLE)
