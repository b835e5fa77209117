"""Flows on Dask: densities, samples, importance weights and trainings of data larger than memory, on many machines.

``import diffeo.dask`` needs Dask, with ``dask.distributed`` for several processes. All functions are lazy, but for
`importance`. A flow goes to each worker once, and a task takes one thread: workers have as many tasks at a time as Dask
gives them threads. Rows and samples do not depend on the chunks: results are those of the methods of `diffeo.Flow`, bit
for bit, also where workers die and their tasks run again.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, SupportsIndex

import dask
import dask.array as da
import numpy as np
import numpy.typing as npt

from . import _importance
from ._abi import DTYPES, Array
from ._arrays import in_order, integer, labels, seed64
from ._importance import Importance
from ._threads import of_this_thread
from .errors import ShapeError
from .flow import Flow
from .train import History

__all__ = ["fit", "from_noise", "importance", "log_prob", "sample", "sample_and_log_prob", "to_noise"]


def log_prob(flow: Flow, x: Any, context: Any = None) -> Any:
    """Log-density of each row in nats, as `Flow.log_prob`.

    Parameters
    ----------
    flow : Flow
    x : dask.array [n, dim], of images [n, channels, height, width], or dask.dataframe
        Its chunks of rows are those of the result; chunks of columns are put together. A data frame with the columns
        that the flow was trained on may have them in another order.
    context : dask.array [n, context_dim], dask.dataframe or array_like [context_dim], optional
        One row for all, or one for each, which is put into the chunks of x (of unknown size they must be those
        already); required where the flow has a context.

    Returns
    -------
    dask.array [n]
        In the dtype of `x`, or of the flow where that is neither float32 nor float64.

    Raises
    ------
    ValueError
        For wrong shapes.

    Examples
    --------
    >>> import dask.array as da                                                 # doctest: +SKIP
    >>> x = da.from_array(h5py.File("events.h5")["x"], chunks=(100_000, -1))    # doctest: +SKIP
    >>> diffeo.dask.log_prob(flow, x).mean().compute()                          # doctest: +SKIP
    """
    return _by_rows(flow, "log_prob", x, context, "x")[:, 0]


def to_noise(flow: Flow, x: Any, context: Any = None) -> tuple[Any, Any]:
    """Map data to noise, as `Flow.to_noise`.

    Parameters
    ----------
    flow, x, context
        As in `log_prob`.

    Returns
    -------
    z : dask.array [n, dim]
    log_det : dask.array [n]
        log abs(det dz/dx), in nats.
    """
    return _parted(_by_rows(flow, "to_noise", x, context, "x"), _event(flow, x))


def from_noise(flow: Flow, z: Any, context: Any = None) -> tuple[Any, Any]:
    """Map noise to data, as `Flow.from_noise`: the inverse of `to_noise`.

    Parameters
    ----------
    flow, z, context
        As `flow`, `x` and `context` in `log_prob`.

    Returns
    -------
    x : dask.array [n, dim]
    log_det : dask.array [n]
        log abs(det dx/dz), in nats.
    """
    return _parted(_by_rows(flow, "from_noise", z, context, "z"), _event(flow, z))


def sample(
    flow: Flow,
    n: SupportsIndex,
    context: Any = None,
    *,
    seed: SupportsIndex | None = None,
    first_row: SupportsIndex = 0,
    chunks: Any = "auto",
) -> Any:
    """Draw samples: each block has the rows that `Flow.sample` gives them, by their numbers.

    Parameters
    ----------
    flow : Flow
    n : int
        Number of rows.
    context : dask.array [n, context_dim], dask.dataframe or array_like [context_dim], optional
        Required where the flow has a context.
    seed : int, optional
        0 to 2**64 - 1. By default a fresh one, which is drawn now: what is computed twice is the same twice.
    first_row : int
        Number of the first sample.
    chunks : int, tuple of int or "auto"
        Rows of a block, as Dask takes them.

    Returns
    -------
    dask.array [n, dim]
        In the dtype of the flow.
    """
    return sample_and_log_prob(flow, n, context, seed=seed, first_row=first_row, chunks=chunks)[0]


def sample_and_log_prob(
    flow: Flow,
    n: SupportsIndex,
    context: Any = None,
    *,
    seed: SupportsIndex | None = None,
    first_row: SupportsIndex = 0,
    chunks: Any = "auto",
) -> tuple[Any, Any]:
    """Draw samples and give their log-densities, as `Flow.sample_and_log_prob`.

    Parameters
    ----------
    flow, n, context, seed, first_row, chunks
        As in `sample`.

    Returns
    -------
    x : dask.array [n, dim]
    log_prob : dask.array [n]
        In nats.
    """
    return _parted(_drawn(flow, n, context, seed, first_row, chunks), flow.shape)


def importance(
    flow: Flow,
    log_density: Any,
    n: SupportsIndex = 10_000,
    context: npt.ArrayLike | None = None,
    *,
    seed: SupportsIndex = 0,
    chunks: Any = "auto",
) -> Importance:
    """Importance sampling: the numbers of `diffeo.importance`, with samples and `log_density` on the workers.

    Computes at once. The weights of all samples, some tens of bytes each, must fit into the memory of the caller.

    Parameters
    ----------
    flow, log_density, n, context, seed
        As in `diffeo.importance`; `log_density` is pickled.
    chunks
        As in `sample`.

    Returns
    -------
    Importance
        Its x is a dask.array, whose rows are drawn anew where they are used.

    Raises
    ------
    ArithmeticError
        For a log-density that is NaN or +inf, and where all are -inf.
    """
    count = integer(n, "n", 1)
    if context is not None and np.ndim(context) > 1:
        raise ShapeError(f"context has shape {np.shape(context)}, expected one row")
    drawn = _drawn(flow, count, context, seed, 0, chunks)
    logs = drawn.map_blocks(
        _log_densities, log_density=log_density, event=flow.shape, chunks=(drawn.chunks[0], (2,)), meta=np.empty((0, 0))
    ).compute()
    return _importance.weighted(_parted(drawn, flow.shape)[0], logs[:, 0], logs[:, 1])


def fit(
    flow: Flow, x: Any, context: Any = None, *, weights: Any = None, threads: SupportsIndex = 1, **options: Any
) -> Any:
    """Train a copy of a flow on a worker, as `Flow.fit` does; several make an ensemble.

    With ``checkpoint=path``, where all workers see the path, a training whose worker died goes on from there.

    Parameters
    ----------
    flow : Flow
        Not changed.
    x, context, weights
        As in `Flow.fit`. Data sets of h5py, which the worker opens under the same path, and arrays of zarr are not sent
        and need not fit into memory. Arrays of NumPy are sent; arrays and data frames of Dask are computed and put
        together in the memory of the worker.
    threads : int
        Of the training.
    **options
        Of `Flow.fit`. There is no progress by default.

    Returns
    -------
    dask.delayed.Delayed
        Of the trained flow and its `History`.

    Examples
    --------
    >>> flow = lambda seed: diffeo.maf(dim=2, seed=seed)
    >>> trainings = [diffeo.dask.fit(flow(seed), x, seed=seed) for seed in range(8)]           # doctest: +SKIP
    >>> flows, histories = zip(*dask.compute(*trainings))                                      # doctest: +SKIP
    """
    rows = [_sent(value) for value in (x, context, weights)]
    return dask.delayed(_fitted, nout=2)(flow, *rows, {"progress": False, "threads": threads} | options)


# ------------------------------------------------------------------------------------------------------- graphs


def _shared(value: Any) -> Any:
    """Something that is in a graph once, however many tasks want it."""
    return dask.delayed(value, pure=True, traverse=False)


def _by_rows(flow: Flow, function: str, x: Any, context: Any, name: str) -> Any:
    """What a function gives for rows, [n, 1 or dim + 1], the log-determinants in the last column."""
    if len(flow.shape) > 1 and isinstance(x, da.Array) and x.ndim > 2:
        if x.shape[1:] != flow.shape:
            raise ShapeError(f"{name} has shape {x.shape}, expected (n, {', '.join(map(str, flow.shape))})")
        x = x.rechunk(dict.fromkeys((1, 2, 3), -1))
        x = x.map_blocks(_flat, chunks=(x.chunks[0], (flow.dim,)), drop_axis=(2, 3), meta=np.empty((0, 0), x.dtype))
    x = _rows(x, flow.dim, name, "dim", flow.columns)
    row, given = _context(flow, context, x.chunks[0], name)
    dtype = np.dtype(x.dtype.name) if x.dtype.name in DTYPES else flow.dtype
    return da.blockwise(
        _evaluated, "rl", x, "rc", *((given, "rk") if given is not None else ()), flow=_shared(flow),
        function=function, row=row, new_axes={"l": 1 if function == "log_prob" else flow.dim + 1}, concatenate=True,
        align_arrays=False, meta=np.empty((0, 0), dtype), token=f"diffeo-{function}",
    )  # fmt: skip


def _drawn(flow: Flow, n: SupportsIndex, context: Any, seed: Any, first_row: SupportsIndex, chunks: Any) -> Any:
    """Samples and their log-densities, [n, dim + 1]."""
    count, width = integer(n, "n", 0), flow.dim + 1
    number = secrets.randbits(64) if seed is None else seed64(seed)
    first = integer(first_row, "first_row", 0, 2**64 - 1)
    rows, columns = da.core.normalize_chunks((chunks, width), (count, width), dtype=flow.dtype)
    row, given = _context(flow, context, rows, "the sample")
    return da.map_blocks(
        _sampled, *(() if given is None else (given,)), flow=_shared(flow), seed=number, first_row=first, row=row,
        chunks=(rows, columns), meta=np.empty((0, 0), flow.dtype), token="diffeo-sample",
    )  # fmt: skip


def _parted(both: Any, event: tuple[int, ...]) -> tuple[Any, Any]:
    """Rows of this shape, and what is in the last column."""
    rows = both[:, :-1]
    if len(event) > 1:
        chunks = (rows.chunks[0], *((size,) for size in event))
        meta = np.empty((0,) * len(chunks), rows.dtype)
        rows = rows.map_blocks(_shaped, event=event, chunks=chunks, new_axis=(2, 3), meta=meta)
    return rows, both[:, -1]


def _event(flow: Flow, rows: Any) -> tuple[int, ...]:
    """The shape of an event as it is given: of images all axes, or none but columns."""
    return flow.shape if isinstance(rows, da.Array) and rows.shape[1:] == flow.shape else (flow.dim,)


def _rows(value: Any, columns: int, name: str, column_name: str, expected: tuple[str, ...] | None) -> Any:
    """A dask array [n, columns] in one chunk of columns."""
    if hasattr(value, "to_dask_array"):  # a data frame
        if expected and (names := labels(value._meta, columns)):
            value = value[list(in_order(np.array(names), names, expected, name))]
        value = value.to_dask_array()
    if not isinstance(value, da.Array):
        raise TypeError(f"{name} must be an array or a data frame of Dask, not {type(value).__name__}")
    if value.ndim != 2:
        raise ShapeError(f"{name} has shape {value.shape}, expected (n, {columns})")
    if value.shape[1] != columns:
        raise ShapeError(f"{name} has {value.shape[1]} columns, this flow has {column_name} {columns}")
    return value.rechunk({1: -1})


def _context(flow: Flow, context: Any, chunks: tuple[Any, ...], of: str) -> tuple[Any, Any]:
    """One row for all, or a dask array with a row for each, in these chunks."""
    columns = flow.context_dim
    if context is None and columns == 0:
        return None, None
    if context is None:
        raise ShapeError(f"context is missing: this flow has context_dim {columns}")
    if columns == 0:
        raise ShapeError("context given, but this flow has context_dim 0")
    if not dask.is_dask_collection(context):
        row: Array = np.asarray(context)
        if row.size != columns:
            raise ShapeError(f"context has shape {row.shape}, expected a dask.array, or one row ({columns},)")
        return row.reshape(columns), None
    given = _rows(context, columns, "context", "context_dim", flow.context_columns)
    if np.isnan(chunks + given.chunks[0]).any():
        if given.numblocks[0] != len(chunks):
            raise ShapeError(f"context has {given.numblocks[0]} chunks of rows, {of} has {len(chunks)}")
    elif len(given) != sum(chunks):
        raise ShapeError(
            f"context has {len(given)} rows, {of} has {sum(chunks)}: give one row for all, or one for each"
        )
    else:
        given = given.rechunk({0: chunks})
    return None, given


@dataclass(frozen=True)
class _DataSet:
    """One of h5py, to be opened where it is read."""

    path: str
    name: str

    def opened(self) -> Any:
        import h5py

        return h5py.File(self.path, "r")[self.name]


def _sent(value: Any) -> Any:
    """Rows as a task gets them."""
    if isinstance(value, Mapping):
        return {name: _sent(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_sent(each) for each in value]
    if "h5py" in sys.modules and isinstance(value, sys.modules["h5py"].Dataset):
        return _DataSet(os.path.abspath(value.file.filename), value.name)
    return _shared(value) if isinstance(value, np.ndarray) else value


# -------------------------------------------------------------------------------------------------------- tasks


def _evaluated(x: Any, context: Any = None, *, flow: Flow, function: str, row: Any) -> Any:
    with of_this_thread(1):
        found = getattr(flow, function)(x, row if context is None else context)
    return np.column_stack(found if isinstance(found, tuple) else (found,))


def _flat(images: Any) -> Any:
    return images.reshape(len(images), -1)


def _shaped(rows: Any, event: tuple[int, ...]) -> Any:
    return rows.reshape(len(rows), *event)


def _sampled(context: Any = None, *, flow: Flow, seed: int, first_row: int, row: Any, block_info: Any = None) -> Any:
    first, end = block_info[None]["array-location"][0]
    number = (first_row + int(first)) % 2**64
    with of_this_thread(1):
        given = row if context is None else context
        x, log_prob = flow.sample_and_log_prob(end - first, given, seed=seed, first_row=number)
        return np.column_stack((_shaped(x, (flow.dim,)), log_prob))


def _log_densities(drawn: Any, *, log_density: Any, event: tuple[int, ...]) -> Any:
    with of_this_thread(1):
        log_p = _importance.evaluated(log_density, np.ascontiguousarray(drawn[:, :-1]).reshape(-1, *event))
    return np.column_stack([log_p, drawn[:, -1]])


def _fitted(flow: Flow, x: Any, context: Any, weights: Any, options: dict[str, Any]) -> tuple[Flow, History]:
    trained = copy(flow)
    return trained, trained.fit(_opened(x), _opened(context), weights=_opened(weights), **options)


def _opened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _opened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_opened(each) for each in value]
    return value.opened() if isinstance(value, _DataSet) else value
