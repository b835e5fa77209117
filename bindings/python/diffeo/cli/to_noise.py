"""diffeo to-noise: rows as the noise that a flow makes of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from .._abi import Array
from .._columns import Column
from ..flow import load
from . import _match, _stream

HELP = "map the rows of a file to noise"
DESCRIPTION = (
    "Write the noise z of each row, in columns with the names of the flow's, and log |det dz/dx| as log_det. It is "
    "distributed as the flow's base (usually standard normal), were the flow exact. In .h5 files they are the data "
    "sets z and log_det, in .npy files log_det is the last column. Files may be larger than memory."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""
    _match.arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    _stream.check_output(options.output, options.flow, options.data)
    flow = load(options.flow)
    matched = _match.Matched(flow, options.data, options)

    def pieces(first: int) -> Iterator[Array]:
        for x, context in matched.batches(first):
            z, log_det = flow.to_noise(x, context)
            yield np.column_stack([z, log_det])

    names = [str(i) for i in range(flow.dim)] if flow.columns is None else [str(column) for column in flow.columns]
    blocks = [_stream.Block("z", tuple(map(Column, names))), _stream.Block("log_det")]
    rows = matched.write(options, blocks, pieces)
    return {"output": options.output, "rows": rows}
