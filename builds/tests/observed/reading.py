"""Reads `/metrics` as Prometheus does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


@dataclass(frozen=True)
class Numbers:
    """All samples of one answer."""

    samples: tuple[Sample, ...]

    @classmethod
    def of(cls, text: str) -> Numbers:
        """The samples of the text format."""
        families = text_string_to_metric_families(text)
        return cls(tuple(sample for family in families for sample in family.samples))

    def one(self, name: str, **labels: str) -> float:
        """The number of this name with these labels; fails where there is not one such."""
        found = list(self._such(name, labels))
        assert len(found) == 1, (name, labels, found)
        return float(found[0].value)

    def sum(self, name: str, **labels: str) -> float:
        """All numbers of this name with these labels added up, 0 where there is none."""
        return float(sum(sample.value for sample in self._such(name, labels)))

    def _such(self, name: str, labels: dict[str, str]) -> Iterator[Sample]:
        for sample in self.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample
