"""Tests of one report, and what is said of all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .._abi import Array


@dataclass(frozen=True, slots=True)
class Test:
    """One question to the rows, answered by a p-value.

    Attributes
    ----------
    name : str
        Such as "noise: mean".
    section : str
        Of the page: "marginals", "noise", ...
    question : str
        What a right flow does.
    method : str
        How it is tested.
    members : int
        Columns or pairs of columns that were tested; the p-value is for all of them, by Bonferroni.
    p : float
        How often a right flow does as badly.
    worst : str
        The member with the lowest p-value, in numbers.
    adjusted : float
        The p-value by Holm over all tests of the report [1]_.
    flagged : bool
        Whether that is below the rate of false alarms of the report.

    References
    ----------
    .. [1] Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.
    """

    __test__ = False  # none of pytest's

    name: str
    section: str
    question: str
    method: str
    members: int
    p: float
    worst: str
    adjusted: float = 1.0
    flagged: bool = False


def family(
    name: str, section: str, question: str, method: str, p_values: Array | Sequence[float], effects: Sequence[str]
) -> Test:
    """A test of one question on some members, each with its p-value and its effect in words."""
    p = np.nan_to_num(np.asarray(p_values, np.float64), nan=1.0)
    worst = int(p.argmin())
    return Test(name, section, question, method, len(p), float(min(1.0, p[worst] * len(p))), effects[worst])


def holm(tests: Sequence[Test], false_alarms: float) -> list[Test]:
    """With adjusted p-values: of a right flow's reports a share of `false_alarms` at most has a flagged one."""
    order = sorted(range(len(tests)), key=lambda i: tests[i].p)
    adjusted, highest = [0.0] * len(tests), 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (len(tests) - place) * tests[i].p))
        adjusted[i] = highest
    return [replace(each, adjusted=p, flagged=p < false_alarms) for each, p in zip(tests, adjusted, strict=True)]
