"""diffeo fit: a flow from a file of rows."""

from __future__ import annotations

import argparse
import inspect
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from .. import _columns, architectures, table
from .._abi import Array
from .._columns import Column, Columns
from ..errors import InvalidArgumentError
from ..flow import Flow
from ..report import keep
from ..train import History
from . import _data, _match, _show

HELP = "train a flow on the rows of a file"
DESCRIPTION = (
    "Train a flow by maximum likelihood, and write it with the names and kinds of its columns. All columns of the file "
    "are data but those that --context, --weights and --drop name; those that --columns does not list are real. At the "
    "end a table compares it with a Gaussian, on rows that neither has seen."
)
_ADVICE = ": name a column of words as name:category in --columns or --context, or leave it out by --drop"
_ALL_MEMORY = 2**40  # MB, which is no limit
_FLOW_OPTIONS = ("transforms", "hidden", "activation", "dropout", "bins", "components", "standardize", "dtype", "seed")
_FIT_OPTIONS = (
    "validation",
    "batch_size",
    "patience",
    "lr",
    "schedule",
    "optimizer",
    "weight_decay",
    "ema_decay",
    "seed",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""
    add = parser.add_argument
    add("data", metavar="DATA", help="rows: .npy, .csv, .tsv, .parquet or .h5")
    add("-o", "--output", required=True, metavar="FLOW.H5", help="the weight file to write")
    add(
        "--flow",
        default="spline_autoregressive",
        choices=[*table.FLOWS],
        metavar="NAME",
        help=f"one of {', '.join(table.FLOWS)} (spline_autoregressive)",
    )
    add(
        "--columns",
        metavar="KINDS",
        help="kinds of columns, between commas: name:positive, name:interval:0:1, name:angle or name:angle:0:360, "
        "name:count, name:category or name:category:red|green; a unit may follow the name, as in mass[GeV]:positive",
    )
    add("--context", metavar="NAMES", help="columns that the flow is conditional on, likewise with kinds")
    add("--weights", metavar="NAME", help="the column of the weights of rows")
    add("--drop", metavar="NAMES", help="columns to leave out")
    _match.dataset(parser)
    add("--epochs", type=int, default=100, metavar="N", help="passes over the rows, at most (100)")
    add("--patience", type=int, metavar="N", help="stop after so many epochs without a better one (10); 0: never")
    add("--test", type=float, default=0.1, metavar="PART", help="part of the rows that is left out for the table (0.1)")
    add("--validation", type=float, metavar="PART", help="part of the others that judges when it is enough (0.1)")
    add("--batch-size", type=int, metavar="N", help="rows a step (512)")
    add("--lr", type=float, metavar="RATE", help="learning rate (0.001)")
    add("--schedule", choices=["constant", "cosine", "exponential", "plateau"], help="of the rate (constant)")
    add("--optimizer", choices=["adam", "sgd"], help="what moves the weights (adam)")
    add("--weight-decay", type=float, metavar="X", help="decoupled, on weight matrices (0)")
    add("--ema-decay", type=float, metavar="X", help="of a moving average of the weights (0: none)")
    add("--transforms", type=int, metavar="N", help="layers, or steps")
    add("--hidden", metavar="WIDTHS", help="of the hidden layers of each network, between commas (128,128)")
    add("--activation", metavar="NAME", help="of the hidden layers (relu)")
    add("--dropout", type=float, metavar="P", help="of hidden units, in training (0)")
    add("--bins", type=int, metavar="N", help="of splines (8)")
    add("--components", type=int, metavar="N", help="of mixtures")
    add("--standardize", choices=["deviation", "robust"], help="by mean and deviation, or by quantiles (deviation)")
    add("--dtype", choices=["float32", "float64"], help="what the flow computes in (float32)")
    add("--seed", type=int, default=0, metavar="S", help="of weights, shuffling and the rows held out (0)")
    add("--threads", type=int, metavar="N", help="of the training; results do not depend on it")
    add(
        "--memory",
        type=float,
        default=1024,
        metavar="MB",
        help="rows may take so much of it; else they are read (1024)",
    )
    add("--resume", action="store_true", help="go on with an interrupted training, if there is one")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    checkpoint = f"{options.output}.checkpoint"
    _check(options)
    if options.resume and os.path.exists(options.output) and not os.path.exists(checkpoint):
        raise InvalidArgumentError(f"{options.output} is finished: there is no {checkpoint} to go on with")
    with ExitStack() as closing:
        rows = _Rows(options, closing)
        flow = _flow(options, rows)
        given = {name: getattr(options, name) for name in _FIT_OPTIONS if getattr(options, name) is not None}
        if not options.resume and os.path.exists(checkpoint):
            os.unlink(checkpoint)  # not before: what was wrong with the command has been said by now
        history = flow.fit(
            rows.train[0],
            rows.train[1],
            weights=rows.train[2],
            max_epochs=options.epochs,
            threads=options.threads,
            progress=not options.quiet,
            checkpoint=checkpoint,
            rows_memory=rows.memory,
            stop_signals=[signal.SIGTERM],
            **given,
        )
        if history.stopped == "signal":
            raise _show.StoppedError(f"stopped by SIGTERM: --resume goes on with {checkpoint}", 143)
        keep(flow, history)
        flow.save(options.output)
        compared = _compared(flow, rows)
    os.unlink(checkpoint)
    if not options.quiet:
        print(_text(options, flow, history, compared))
    return {
        "output": options.output,
        "epochs": len(history.epoch),
        "best_epoch": history.best_epoch,
        "stopped": history.stopped,
        "seconds": history.seconds,
        "skipped_steps": history.skipped_steps,
        "parameters": flow.parameter_count,
        "log_prob": compared,
    }


def _check(options: argparse.Namespace) -> None:
    _data.check_weight_file(options.output, options.data)
    if not 0 <= options.test < 1:
        raise InvalidArgumentError(f"--test is {options.test:g}, it must be 0 or more, below 1")
    if not options.memory > 0:
        raise InvalidArgumentError(f"--memory is {options.memory:g}, it must be above 0")
    if options.epochs < 0:
        raise InvalidArgumentError(f"--epochs is {options.epochs}, it must be 0 or more")
    if options.threads is not None and options.threads < 1:
        raise InvalidArgumentError(f"--threads is {options.threads}, it must be 1 or more")


def _flow(options: argparse.Namespace, rows: _Rows) -> Flow:
    given = {name: getattr(options, name) for name in _FLOW_OPTIONS if getattr(options, name) is not None}
    if "hidden" in given:
        try:
            given["hidden"] = tuple(int(width) for width in _match.split(given["hidden"]))
        except ValueError:
            raise InvalidArgumentError(
                f"--hidden is {options.hidden}, it must be whole numbers between commas"
            ) from None
    known = inspect.signature(getattr(architectures, options.flow)).parameters
    for name in given:
        if name not in known:
            raise InvalidArgumentError(f"--{name} is not for {options.flow}")
    return table.for_table(
        rows.train[0], rows.x, options.flow, context=rows.raw_context, context_kinds=rows.context or None, **given
    )


class _Rows:
    """The rows of the file: to train on, and to test on; in memory, or in temporary files."""

    def __init__(self, options: argparse.Namespace, closing: ExitStack) -> None:
        path = options.data
        source = _data.opened(path, options.dataset)
        self.memory = int(min(options.memory, _ALL_MEMORY) * 2**20)
        listed = _kinds(options.columns, source, path)
        context = _kinds(options.context, source, path)
        weights = _data.weights(source, options.weights, path)
        known = (*source.names, *source.groups)
        aside = {*map(str, context), *weights, *_data.chosen(source, _match.split(options.drop, known), path)}
        if twice := [str(column) for column in listed if column in aside]:
            raise InvalidArgumentError(f"column {twice[0]!r} is data and something else, too")
        kinds = {str(column): column for column in listed}
        x = [kinds.get(name, Column(name)) for name in source.names if name not in aside]
        if not x:
            raise InvalidArgumentError(f"{path} has no column left that is data")
        self.x: Columns = _data.with_levels(source, x, path)
        self.context: Columns = _data.with_levels(source, context, path)
        columns = (*self.x, *self.context, *map(Column, weights))
        self._width, self._weighted, self._dtype = len(self.x), bool(weights), options.dtype or "float32"
        spools = [closing.enter_context(_data.Spool(len(columns))) for _ in range(2)]
        first = 0
        with _show.Progress(source.count, 0, options.quiet) as progress:
            for array in _data.batches(source, columns, path, advice=_ADVICE):
                _columns.check_rows(array, columns, path, first)
                self._check_numbers(array, columns, path, first)
                numbers = np.arange(first, first + len(array), dtype=np.uint64)
                test = _columns.uniform(numbers + np.uint64(1 << 40)) < options.test
                for spool, part in zip(spools, (array[~test], array[test]), strict=True):
                    spool.add(part)
                first += len(array)
                progress.update(len(array))
        whole, test = (spool.rows(self.memory // 2) for spool in spools)
        if len(whole) == 0:
            raise InvalidArgumentError(f"{path} has {first} rows, and none is left to train on")
        self.context_dim = sum(column.width for column in self.context)
        end = len(columns) - self._weighted
        self.raw_context: Array | None = whole[:, self._width : end] if self.context else None
        self.train = self._parts(whole, closing)
        self.test = self._parts(test, closing)

    def _check_numbers(self, array: Array, columns: Columns, path: str, first: int) -> None:
        """What the training would refuse, which counts the rows that are left to it."""
        dtype = np.dtype(self._dtype)
        for j, column in enumerate(columns):
            weights = self._weighted and j == len(columns) - 1
            rows = np.flatnonzero(array[:, j] < 0 if weights else abs(array[:, j]) > np.finfo(dtype).max)
            if len(rows):
                needed = "a weight must be 0 or more" if weights else f"{dtype} cannot hold it"
                raise InvalidArgumentError(
                    f"{path} has {array[rows[0], j]:g} in {_columns.listed(first + rows)}, column {str(column)!r}: "
                    f"{needed}"
                )

    def _parts(self, whole: Array, closing: ExitStack) -> tuple[Array, Array | None, Array | None]:
        """x, the context as the flow reads it, and the weights of rows."""
        end = whole.shape[1] - self._weighted
        context: Array | None = None
        if self.context:
            spool = closing.enter_context(_data.Spool(self.context_dim))
            for start in range(0, len(whole), _data.BATCH):
                given = np.asarray(whole[start : start + _data.BATCH, self._width : end])
                spool.add(_columns.encoded(given, self.context, self.context_dim, "context"))
            context = spool.rows(self.memory // 4)
        return whole[:, : self._width], context, whole[:, -1] if self._weighted else None


def _kinds(text: str | None, source: _data.Source, path: str) -> Columns:
    """Columns with kinds; a data set with two axes stands for all of its columns."""
    found: list[Column] = []
    known = (*source.names, *source.groups)
    for part in _match.split(text, known):
        column = _match.column(part, known)
        for name in _data.chosen(source, [str(column)], path):
            found.append(Column.from_json(column.to_json() | {"name": name}))
    if len(set(found)) < len(found):
        raise InvalidArgumentError(f"a column is named twice: {', '.join(found)}")
    return tuple(found)


# ------------------------------------------------------------------------------------------------------------ the table


def _compared(flow: Flow, rows: _Rows) -> dict[str, Any]:
    """Mean log-densities of flow and Gaussian, each with its standard error: of training and of test rows."""
    gaussian = _Gaussian(rows.train)
    found: dict[str, Any] = {}
    for name, part in ("training", rows.train), ("test", rows.test):
        if len(part[0]) == 0:
            continue
        sums = [_Mean() for _ in range(3)]
        for x, context, weights in _pieces(part):
            log_prob = flow.log_prob(x, context).astype(float)
            by_gaussian = gaussian.log_prob(x, context)
            for mean, values in zip(sums, (log_prob, by_gaussian, log_prob - by_gaussian), strict=True):
                mean.add(values, weights)
        keys = ("flow", "gaussian", "difference")
        found[name] = {"rows": len(part[0])} | {key: mean.result() for key, mean in zip(keys, sums, strict=True)}
    return found


def _pieces(part: tuple[Array, Array | None, Array | None]) -> Iterator[tuple[Array, Array | None, Array]]:
    x, context, weights = part
    for start in range(0, len(x), _data.BATCH):
        rows = slice(start, start + _data.BATCH)
        some = np.array(x[rows])
        yield (
            some,
            None if context is None else np.array(context[rows]),
            (np.ones(len(some)) if weights is None else np.array(weights[rows])),
        )


class _Mean:
    """A weighted mean and its standard error."""

    def __init__(self) -> None:
        self._sums = np.zeros(5)

    def add(self, values: Array, weights: Array) -> None:
        """More rows."""
        squares = weights * weights
        parts = weights, weights * values, squares, squares * values, squares * values * values
        self._sums += [part.sum() for part in parts]

    def result(self) -> dict[str, float | None]:
        """Mean, and the standard error of a ratio of sums."""
        total, first, w2, w2x, w2xx = self._sums
        if not total > 0:
            return {"mean": None, "standard_error": None}
        mean = first / total
        variance = max(w2xx - 2 * mean * w2x + mean * mean * w2, 0.0)
        return {"mean": _show.finite(mean), "standard_error": _show.finite(variance**0.5 / total)}


class _Gaussian:
    """A normal distribution of x, given a context one whose mean is linear in it: by the moments of the rows."""

    def __init__(self, train: tuple[Array, Array | None, Array | None]) -> None:
        self._dim = train[0].shape[1]
        width = self._dim + (0 if train[1] is None else train[1].shape[1])
        total, first, second = 0.0, np.zeros(width), np.zeros((width, width))
        shift: Array | None = None
        for x, context, weights in _pieces(train):
            rows = x if context is None else np.concatenate([x, context], axis=1)
            shift = rows.mean(axis=0) if shift is None else shift
            centred = rows - shift
            total += float(weights.sum())
            first += weights @ centred
            second += (centred * weights[:, None]).T @ centred
        mean = first / total
        covariance = second / total - np.outer(mean, mean)
        self._mean = mean if shift is None else mean + shift
        d = self._dim
        # A context may have columns that are sums of others, as one-hot ones are.
        self._slope = covariance[:d, d:] @ np.linalg.pinv(covariance[d:, d:], hermitian=True)
        residual = covariance[:d, :d] - self._slope @ covariance[d:, :d]
        values, vectors = np.linalg.eigh(residual)
        values = np.maximum(values, 1e-12 * max(values[-1], np.finfo(float).tiny))
        self._white = vectors / np.sqrt(values)
        self._constant = -0.5 * (np.log(values).sum() + d * np.log(2 * np.pi))

    def log_prob(self, x: Array, context: Array | None) -> Array:
        """Of each row."""
        residual = x - self._mean[: self._dim]
        if context is not None:
            residual = residual - (context - self._mean[self._dim :]) @ self._slope.T
        found: Array = self._constant - 0.5 * np.square(residual @ self._white).sum(axis=1)
        return found


def _text(options: argparse.Namespace, flow: Flow, history: History, compared: dict[str, Any]) -> str:
    lines = [f"{options.output}: {options.flow}, {flow.parameter_count:,} parameters; {history}", ""]
    lines.append(f"{'log p, nats a row':<20}{'rows':>12}{options.flow:>24}{'Gaussian':>20}{'gain':>20}")
    for name, found in compared.items():
        cells = [_cell(found[key]) for key in ("flow", "gaussian", "difference")]
        lines.append(f"{name:<20}{found['rows']:>12,}{cells[0]:>24}{cells[1]:>20}{cells[2]:>20}")
    return "\n".join([*lines, "(± 2 standard errors)"])


def _cell(mean: dict[str, float | None]) -> str:
    if mean["mean"] is None:
        return "-"
    error = "" if mean["standard_error"] is None else f" ± {2 * mean['standard_error']:.4f}"
    return f"{mean['mean']:.4f}{error}"
