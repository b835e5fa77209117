"""What a report has found: its numbers, and what is said of all of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from ..train import History
from ..variational import TargetHistory
from ._compute import (
    LARGE,
    Calibration,
    Classifier,
    Coverage,
    Likelihood,
    Marginal,
    NoiseSection,
    RoundTrip,
    Support,
    Timing,
    WorstRow,
)
from ._rows import Rows
from ._tests import Test

Histories = History | TargetHistory | Mapping[str, History | TargetHistory]


@dataclass(frozen=True)
class Results:
    """What was found of a flow with rows.

    Attributes
    ----------
    title : str
    flow : str
        Its summary.
    dim, context_dim : int
    given, rows : int
        Rows given, and looked at.
    said : list of str
        What was left out.
    seed : int
    false_alarms : float
        The share of right flows' reports in which any test is flagged, at most.
    tests : list of Test
        With p-values, adjusted ones, and whether they are flagged.
    smallest_shift : float
        The shift of one column of the noise, in standard deviations, that a test finds nine times in ten.
    marginals, likelihood, noise, classifier, coverage, calibration, worst, support, round_trip, timing
        The numbers of the sections; calibration is None without a context, timing if it was not wanted.
    history : History, TargetHistory, a mapping of names to them, or None
    version : str
        Of Diffeo.
    """

    title: str
    flow: str
    dim: int
    context_dim: int
    given: int
    rows: int
    said: list[str]
    seed: int
    false_alarms: float
    tests: list[Test]
    smallest_shift: float
    marginals: list[Marginal]
    likelihood: Likelihood
    noise: NoiseSection
    classifier: Classifier
    coverage: Coverage
    calibration: Calibration | None
    worst: list[WorstRow]
    support: Support
    round_trip: RoundTrip
    timing: Timing | None
    history: Histories | None
    version: str
    material: Rows = field(repr=False, metadata=LARGE)

    @property
    def flagged(self) -> list[Test]:
        """The tests that tell the rows from the flow, the surest first."""
        return sorted((each for each in self.tests if each.flagged), key=lambda each: each.p)

    @property
    def verdict(self) -> str:
        """One sentence, backed by the tests."""
        count = len(self.flagged)
        if count:
            return f"{count} of {len(self.tests)} tests tell these {self.rows:,} rows from the flow."
        return f"None of {len(self.tests)} tests tells these {self.rows:,} rows from the flow."

    def __str__(self) -> str:
        lines = [self.verdict]
        lines += [f"  {each.name} (p = {each.adjusted:.1e}): {each.worst}" for each in self.flagged]
        for each in self.likelihood.scores:
            lines.append(f"  {each.name}: {each.mean:.3f} ± {each.two_errors:.3f} nats a row")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All numbers as lists and dictionaries that JSON can say; what is not finite is None."""
        found: dict[str, Any] = _plain(self)
        return found

    def to_json(self) -> str:
        """`to_dict` as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        kept = [each for each in fields(value) if not each.metadata.get("large")]
        return {each.name: _plain(getattr(value, each.name)) for each in kept}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
