"""Reports on flows: what tells whether to trust one, as numbers, as tests, and as a page with pictures.

`Flow.report` makes one. Numbers and tests need SciPy and scikit-learn, the page Matplotlib, too:
``pip install "diffeo[report]"``. What is tested, and how: docs/report.md.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt

from .._abi import VERSION_STRING
from .._arrays import integer, real, seed64
from .._judged import Judged, read
from ..errors import InvalidArgumentError, ShapeError
from . import _compute, _page
from ._history import keep, kept
from ._results import Histories, Results
from ._rows import FEWEST, rows, seed_of
from ._tests import Test, holm

__all__ = ["FlowReport", "Histories", "Test", "keep", "of"]


class FlowReport(Results):
    __doc__ = Results.__doc__

    def html(self) -> str:
        """The page: one file with its pictures inside, and no address in it."""
        return _page.page(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page, or with a name that ends in .json the numbers."""
        text = self.to_json() if os.fspath(path).lower().endswith(".json") else self.html()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def of(
    flow: Judged,
    x: npt.ArrayLike,
    context: npt.ArrayLike | None = None,
    *,
    history: Histories | None = None,
    train: npt.ArrayLike | None = None,
    train_context: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
    row_names: Sequence[object] | None = None,
    rows_at_most: SupportsIndex = 10_000,
    false_alarms: float = 0.01,
    seed: SupportsIndex = 0,
    timing: bool = True,
    title: str = "Report on a flow",
) -> FlowReport:
    """The report on a flow: see `Flow.report`."""
    rate, number = real(false_alarms, "false_alarms"), seed64(seed)
    if not 0 < rate < 1:
        raise InvalidArgumentError(f"false_alarms must be between 0 and 1, not {rate}")
    most = integer(rows_at_most, "rows_at_most", FEWEST)
    chosen = rows(flow, x, context, weights, names, row_names, most, number)
    known = None
    if train is not None:
        _, other, other_context, *_ = read(flow, train, train_context, seed_of(number, "train"), "train")
        if len(other) < FEWEST:
            raise ShapeError(f"train has {len(other)} rows; a report wants {FEWEST} at least")
        some = np.random.default_rng(seed_of(number, "train")).permutation(len(other))[:most]
        known = other[some], None if other_context is None else other_context[some]
    elif train_context is not None:
        raise InvalidArgumentError("train_context was given without train")

    marginals, tests = _compute.marginals(chosen)
    likelihood, more = _compute.likelihood(chosen, known)
    tests += more
    noise, more = _compute.noise(chosen)
    tests += more
    classifier, more = _compute.classifier(chosen)
    tests += more
    calibration = None
    if chosen.context is None:
        coverage, more = _compute.regions(chosen)
    else:
        coverage, calibration, more = _compute.posteriors(chosen)
    tests += more
    support, more = _compute.support(chosen)
    tests = holm(tests + more, rate)
    norm = _compute.scipy("stats").norm
    return FlowReport(
        title=title,
        flow=str(flow),
        dim=flow.dim,
        context_dim=flow.context_dim,
        given=chosen.given,
        rows=len(chosen),
        said=chosen.said,
        seed=number,
        false_alarms=rate,
        tests=tests,
        smallest_shift=float(norm.isf(rate / len(tests) / flow.dim / 2) + norm.ppf(0.9)) * noise.mean_error,
        marginals=marginals,
        likelihood=likelihood,
        noise=noise,
        classifier=classifier,
        coverage=coverage,
        calibration=calibration,
        worst=_compute.worst(chosen, noise.found),
        support=support,
        round_trip=_compute.round_trip(chosen),
        timing=_compute.timing(chosen) if timing else None,
        history=history or kept(flow),
        version=VERSION_STRING,
        material=chosen,
    )
