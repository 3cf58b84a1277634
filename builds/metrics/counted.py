"""What has happened, from the totals: one query, however much that was."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from builds.choices import BuildStatus
from builds.metrics.families import counter, histogram
from builds.models import Target, Totals
from builds.pipeline.totals import BUILD_BUCKETS, CHECK_BUCKETS

_OF = ("channel", "system")
# What begins at 0 and not when it first happens: Prometheus sees no growth in a first number.
_OUTCOMES = ("published", "failed", "cancelled", "withdrawn")
_ENDS = sorted(BuildStatus.final())
# Name in the totals, what it is, labels.
_COUNTERS = (
    ("releases", "Releases that came to an end, by what became of them.", (*_OF, "status")),
    ("builds", "Builds that came to an end.", (*_OF, "variant", "status")),
    ("build_retries", "Builds that were a further attempt.", (*_OF, "variant")),
    ("checks", "Verdicts of checks.", (*_OF, "name", "verdict")),
    (
        "check_retries",
        "How often a check was taken once more: its worker was gone, or something was in the way.",
        (*_OF, "name"),
    ),
    ("downloads", "Answers that began a file.", (*_OF, "role")),
    ("download_bytes", "Bytes of files that were asked for.", (*_OF, "role")),
)


def counted() -> Iterator[Metric]:
    """Counters and histograms of all that has come to an end."""
    totals = Totals.objects.current()
    _begin(totals)
    for what, text, labels in _COUNTERS:
        yield counter(f"portal_{what}", text, labels, totals.of(what))
    yield counter(
        "portal_leases_lost",
        "Builds that were given up because their worker was not heard of.",
        (*_OF, "variant"),
        [(labels[:-1], n) for labels, n in totals.of("builds") if labels[-1] == "lost"],
    )
    yield histogram(
        totals.of("build_seconds"),
        "portal_build_seconds",
        "Seconds from a build's start to its end.",
        ("system", "variant", "status"),
        BUILD_BUCKETS,
    )
    yield histogram(
        totals.of("check_seconds"),
        "portal_check_seconds",
        "Seconds until a check's verdict was clear.",
        ("system", "name", "verdict"),
        CHECK_BUCKETS,
    )


def _begin(totals: Totals) -> None:
    """Let the numbers of all that is built be there from the start."""
    built = list(Target.objects.order_by().values_list("channel__name", "system", "variant"))
    channels = {(channel, system) for channel, system, _ in built}
    totals.count(
        {
            "releases": {(*of, status): 0 for of in channels for status in _OUTCOMES},
            "builds": {(*of, status): 0 for of in built for status in _ENDS},
            "build_retries": dict.fromkeys(built, 0),
        }
    )
