"""How numbers become Prometheus' families."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from builds.pipeline.totals import BEYOND, SUM

Labelled = Iterable[tuple[Sequence[str], float]]


def gauge(name: str, text: str, labels: Sequence[str], numbers: Labelled) -> GaugeMetricFamily:
    """A number that goes up and down, for each set of labels."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in numbers:
        family.add_metric(values, number)
    return family


def plain(name: str, text: str, number: float) -> GaugeMetricFamily:
    """A number without labels."""
    return GaugeMetricFamily(name, text, value=number)


def counter(name: str, text: str, labels: Sequence[str], numbers: Labelled) -> CounterMetricFamily:
    """A number that only grows, for each set of labels; `_total` is put behind its name."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, number in numbers:
        family.add_metric(values, number)
    return family


def histogram(
    lengths: Labelled, name: str, text: str, labels: Sequence[str], ends: Sequence[int]
) -> HistogramMetricFamily:
    """Lengths as the totals have them; `ends` are their buckets' upper ends."""
    family = HistogramMetricFamily(name, text, labels=labels)
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for (*values, bucket), number in lengths:
        found.setdefault(tuple(values), {})[bucket] = number
    names = [*map(str, ends), BEYOND]
    for key, counts in found.items():
        upto = accumulate(counts.get(bucket, 0) for bucket in names)
        family.add_metric(key, list(zip(names, upto, strict=True)), counts.get(SUM, 0))
    return family
