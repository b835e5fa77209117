"""diffeo check: whether to trust a flow."""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from .._abi import Array
from .._columns import Column
from ..errors import InvalidArgumentError
from ..flow import Flow, load
from . import _data, _match, _show

HELP = "hold a flow against rows that it was not trained on, and write a report"
DESCRIPTION = (
    "Write a page of HTML that says whether to trust the flow, with pictures, numbers and tests, or with a name that "
    "ends in .json the numbers alone. Of right flows a share of --false-alarms at most has a test that is flagged. The "
    "rows must not be those of the training. Files may be larger than memory: --rows of them are drawn by --seed."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""
    parser.add_argument("flow", metavar="FLOW", help="a weight file, such as diffeo fit writes")
    parser.add_argument("data", metavar="DATA", help="rows: .npy, .csv, .tsv, .parquet or .h5")
    parser.add_argument(
        "-o", "--output", metavar="REPORT", help="a page, .html, or numbers, .json; without it, a summary"
    )
    parser.add_argument("--columns", metavar="NAMES", help="the columns of the data, in the order of the flow")
    parser.add_argument("--context", metavar="NAMES", help="likewise those of the context")
    parser.add_argument("--weights", metavar="NAME", help="a column with a weight of each row, 0 or more")
    _match.dataset(parser)
    parser.add_argument("--train", metavar="DATA", help="the rows of the training, for the densities to compare with")
    parser.add_argument("--rows", type=int, default=10_000, help="at most so many are looked at (%(default)s)")
    parser.add_argument("--false-alarms", type=float, default=0.01, metavar="SHARE", help="below 1 (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (%(default)s)")
    parser.add_argument("--title", help="of the page; by default the name of the flow's file")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    if options.output is not None:
        read = options.flow, options.data, options.train
        _data.check_output(options.output, (".html", ".htm", ".json"), "neither .html nor .json", *read)
    flow = load(options.flow)
    x, context, weights, numbers, count = _drawn(flow, options.data, options, options.weights)
    train, train_context = None, None
    if options.train is not None:
        train, train_context, _, _, _ = _drawn(flow, options.train, options, None)
    report = flow.report(
        x,
        context,
        train=train,
        train_context=train_context,
        weights=weights,
        row_names=[f"row {number}" for number in numbers],
        rows_at_most=options.rows,
        false_alarms=options.false_alarms,
        seed=options.seed,
        title=options.title or os.path.basename(options.flow),
    )
    if count > len(x):
        report.said.insert(0, f"{len(x):,} of {count:,} rows are looked at, drawn by the seed.")
    if options.output is not None:
        report.save(options.output)
    if not options.quiet:
        print(report)
    return {
        "output": options.output,
        "rows": report.rows,
        "verdict": report.verdict,
        "flagged": [each.name for each in report.flagged],
        "p": {each.name: each.adjusted for each in report.tests},
        "log_prob": {each.name: _show.finite(each.mean) for each in report.likelihood.scores},
    }


def _drawn(
    flow: Flow, path: str, options: argparse.Namespace, weights: str | None
) -> tuple[Array, Array | None, Array | None, npt.NDArray[np.int64], int]:
    """Rows of a file, contexts, weights and the numbers of the rows, in order, and how many there are in all.

    Each row has a random number, and those with the smallest are kept: in the memory of as many, and two batches.
    """
    from ..report._rows import FEWEST

    if options.rows < FEWEST:
        raise InvalidArgumentError(f"--rows is {options.rows}, it must be {FEWEST} or more")
    matched = _match.Matched(flow, path, options, weights)
    columns = (*matched.x, *matched.context, *map(Column, matched.weights))
    width = len(columns) - len(matched.weights)
    rng = np.random.default_rng(options.seed)
    kept: list[Array] = [np.empty((0, n)) for n in (flow.dim, flow.context_dim, len(columns) - width)]
    keys, numbers = np.empty(0), np.empty(0, np.int64)
    count = 0
    for batch in _data.batches(matched.source, columns, path):
        bad = np.argwhere(~np.isfinite(batch))
        if len(bad):
            row, column = bad[0]
            value = batch[row, column]
            raise InvalidArgumentError(f"{path} has {value} in row {count + row}, column {str(columns[column])!r}")
        x, context = matched.split(batch[:, :width], count)
        parts = x, np.empty((len(x), 0)) if context is None else context, batch[:, width:]
        kept = [np.concatenate(both) for both in zip(kept, parts, strict=True)]
        keys = np.concatenate([keys, rng.random(len(batch))])
        numbers = np.concatenate([numbers, np.arange(count, count + len(batch))])
        count += len(batch)
        some = np.sort(np.argsort(keys, kind="stable")[: options.rows])
        kept, keys, numbers = [part[some] for part in kept], keys[some], numbers[some]
    x, contexts, weighed = kept
    return x, contexts if flow.context_dim else None, None if weights is None else weighed[:, 0], numbers, count
