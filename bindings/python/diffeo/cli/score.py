"""diffeo score: log-densities of rows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._abi import Array
from ..flow import load
from . import _match, _stream

HELP = "give the log-density of each row of a file"
DESCRIPTION = (
    "Write log p of each row, in nats, under the name log_prob: NaN for rows with missing values, -inf outside of the "
    "support. Files may be larger than memory. With counts and categories it is about that of their probability."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""
    _match.arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    _stream.check_output(options.output, options.flow, options.data)
    flow = load(options.flow)
    matched = _match.Matched(flow, options.data, options)
    total, finite, outside, missing = 0.0, 0, 0, 0

    def pieces(first: int) -> Iterator[Array]:
        nonlocal total, finite, outside, missing
        for x, context in matched.batches(first):
            log_prob = flow.log_prob(x, context).astype(flow.dtype)
            good = np.isfinite(log_prob)
            total += float(log_prob[good].sum(dtype=float))
            finite += int(good.sum())
            missing += int(np.isnan(log_prob).sum())
            outside += int((log_prob == -np.inf).sum())
            yield log_prob[:, None]

    rows = matched.write(options, [_stream.Block("log_prob")], pieces)
    # Of the rows that this run had to do.
    return {
        "output": options.output,
        "rows": rows,
        "scored_rows": finite + missing + outside,
        "mean_log_prob": total / finite if finite else None,
        "rows_outside": outside,
        "rows_missing": missing,
    }
