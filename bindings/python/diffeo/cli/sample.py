"""diffeo sample: rows from a flow."""

from __future__ import annotations

import argparse
import re
import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _columns
from .._abi import Array
from .._columns import Column
from ..errors import InvalidArgumentError
from ..flow import Flow, load
from . import _data, _match, _show, _stream

HELP = "draw rows from a flow"
DESCRIPTION = (
    "Write samples number 0 to N - 1 of a seed, in columns with the names of the flow's. The same seed gives the same "
    "rows. In .h5 files they are the data sets x and, with --log-prob, log_prob; in .npy files that is the last column."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""
    parser.add_argument("flow", metavar="FLOW", help="a weight file, such as diffeo fit writes")
    parser.add_argument("-n", "--rows", type=int, metavar="N", help="how many; of each context with --context-data")
    parser.add_argument("--seed", type=int, metavar="S", help="0 to 2^64 - 1; by default a fresh one, which is told")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="to .npy, .csv, .parquet or .h5; - is text on stdout"
    )
    parser.add_argument("--context", metavar="VALUES", help="one for all rows: numbers, or name=value, between commas")
    parser.add_argument(
        "--context-data", metavar="DATA", help="a file of contexts, for each of which N rows follow (1)"
    )
    _match.dataset(parser)
    parser.add_argument("--first-row", type=int, default=0, metavar="I", help="the number of the first sample (0)")
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of the noise (1)")
    parser.add_argument("--log-prob", action="store_true", help="give their log-densities, too")
    parser.add_argument("--resume", action="store_true", help="go on with what an interrupted command left behind")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    _stream.check_output(options.output, options.flow, options.context_data)
    if options.resume and options.seed is None:
        raise InvalidArgumentError("--resume needs the --seed of the command that it goes on with")
    flow = load(options.flow)
    seed = secrets.randbits(64) if options.seed is None else options.seed
    each = options.rows
    if each is not None and each < 0:
        raise InvalidArgumentError(f"-n is {each}, it must be 0 or more")
    drawn = {"seed": seed, "temperature": options.temperature}
    contexts, data = _contexts(flow, options)
    if data is None and each is None:
        raise InvalidArgumentError("-n is missing: how many rows?")
    repeats = 1 if each is None else each

    def pieces(first: int) -> Iterator[Array]:
        for count, context in contexts(first, repeats):
            x, log_prob = flow.sample_and_log_prob(count, context, first_row=options.first_row + first, **drawn)
            yield np.column_stack([x.reshape(count, -1), log_prob]) if options.log_prob else x.reshape(count, -1)
            first += count

    blocks = [_stream.Block("x", flow.columns or tuple(Column(str(i)) for i in range(flow.dim)))]
    blocks += [_stream.Block("log_prob")] if options.log_prob else []
    total = repeats if data is None else None if data.count is None else repeats * data.count
    about = drawn | {
        "command": "sample",
        "flow": _stream.flow_digest(options.flow),
        "rows": each,
        "first_row": options.first_row,
        "context": options.context,
        "data": _data.fingerprint(options.context_data, options.dataset) if data is not None else None,
    }
    rows = _stream.write(
        options.output, blocks, flow.dtype, about, pieces, total=total, resume=options.resume, quiet=options.quiet
    )
    _show.wrote(f"{options.output} (seed {seed})", rows, options.quiet)
    return {"output": options.output, "rows": rows, "seed": seed}


def _contexts(flow: Flow, options: argparse.Namespace) -> tuple[Any, _data.Source | None]:
    """Numbers of rows with their contexts, from a row of the result on; and the file they are in, if they are."""
    known = flow.context_columns or tuple(Column(str(i)) for i in range(flow.context_dim))
    if not flow.context_dim and (options.context or options.context_data):
        raise InvalidArgumentError("a context is given, but the flow has none")
    if options.context_data is None:
        if flow.context_dim and options.context is None:
            raise InvalidArgumentError(f"the flow has a context ({', '.join(known)}): give --context or --context-data")
        one = _one(options.context, known) if flow.context_dim else None

        def from_one(first: int, total: int) -> Iterator[tuple[int, Any]]:
            for start in range(first, total, _data.BATCH):
                yield min(_data.BATCH, total - start), one

        return from_one, None
    if options.context:
        raise InvalidArgumentError("--context and --context-data are both given")
    source = _data.opened(options.context_data, options.dataset)
    by_name = flow.context_columns is not None and _match.named(source, known)
    names = _data.chosen(source, known if by_name else source.names, options.context_data)
    if len(names) != len(known):
        raise InvalidArgumentError(
            f"{options.context_data} has {len(names)} columns, the flow a context of {len(known)}"
        )
    columns = tuple(Column.from_json(c.to_json() | {"name": name}) for name, c in zip(names, known, strict=True))

    def from_file(first: int, repeats: int) -> Iterator[tuple[int, Any]]:
        if repeats == 0:
            return
        skip = first % repeats
        number = first // repeats
        for rows in _data.batches(source, columns, options.context_data, number):
            context = _columns.encoded(rows, columns, flow.context_dim, options.context_data, number)
            number += len(rows)
            step = max(1, _data.BATCH // repeats)
            for start in range(0, len(rows), step):
                many = np.repeat(context[start : start + step], repeats, axis=0)[skip:]
                skip = 0
                for i in range(0, len(many), _data.BATCH):
                    part = many[i : i + _data.BATCH]
                    yield len(part), part

    return from_file, source


def _one(text: str, known: tuple[Column, ...]) -> Array:
    """A context from text."""
    # A comma is one between values, or in a word, as names follow or do not.
    parts = re.split(f",\\s*(?=(?:{'|'.join(map(re.escape, known))})=)", text) if "=" in text else _match.split(text)
    if len(known) == 1 and len(parts) > 1:
        parts = [text]
    if all("=" in part for part in parts):
        given = dict(part.split("=", 1) for part in parts)
        _columns.check_names([*given], known, "--context")
        parts = [given[str(column)] for column in known]
    if len(parts) != len(known):
        raise InvalidArgumentError(
            f"--context has {len(parts)} value{'s' * (len(parts) != 1)}, the flow has {len(known)}: {', '.join(known)}"
        )
    values = [np.array([part], object) for part in parts]
    one = _data.numbers(values, known, "--context", None)
    _columns.check_rows(one, known, "--context", None)
    found: Array = one[0]
    return found
