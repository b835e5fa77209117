"""Flows: densities, samples, gradients, files."""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import nullcontext
from ctypes import byref
from typing import Any, Protocol, SupportsIndex, runtime_checkable

import numpy as np
import numpy.typing as npt

from . import _abi, _box, _columns, _conditional, _probability, _rows, _vjp, train
from ._abi import Array, lib, typed
from ._arrays import Image, Rows, choice, context_rows, integer, labels, pointer_and_count, real, rows, seed64, vector
from ._columns import Cells, Column, FrameName
from ._files import Path, encoded, folder, missing_is
from ._signals import StopSignals
from ._threads import workspace
from ._training import Schedule
from ._vjp import ALL, Gradients, Of
from ._words import Estimator, Judge, Optimizer
from .errors import InvalidArgumentError, ShapeError, UnsupportedError
from .report import FlowReport, Histories
from .report import of as report_of
from .variational import Target, TargetHistory, TargetTrainer
from .variational import run as run_to_target

_COLUMNS, _CONTEXT_COLUMNS = "diffeo.columns", "diffeo.context_columns"  # keys of metadata
_LONGEST = 65535  # bytes of a value of metadata
_DTYPES = {code: np.dtype(name) for name, code in _abi.DTYPES.items()}


@runtime_checkable
class Writable(Protocol):
    """A binary file to write to."""

    def write(self, content: bytes, /) -> object:
        """Write the bytes."""


@runtime_checkable
class Readable(Protocol):
    """A binary file to read from."""

    def read(self) -> bytes:
        """Read the bytes to the end."""


@runtime_checkable
class Buildable(Protocol):
    """What a `Spec` is."""

    def _build_in(self, dtype: np.dtype[Any], seed: SupportsIndex) -> Flow:
        """Build it in another type than its own."""


@runtime_checkable
class Sliceable(Protocol):
    """Rows that can be written in slices: an array, a memory map, a data set of h5py."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its axes."""

    def __setitem__(self, rows: Any, values: Any, /) -> None: ...


class Flow:
    """A normalizing flow: an invertible map between data x and noise z, with a density, a sampler and gradients.

    Made by `diffeo.maf`, `diffeo.iaf`, `diffeo.realnvp`, `diffeo.Spec.build`, `diffeo.load` and `diffeo.from_bytes`.

    **Arrays.** ``x`` is [n, dim], ``context`` is [n, context_dim] or one row [context_dim] for all; anything that NumPy
    makes an array of will do, data frames included. float32 and float64 arrays that are C-contiguous are used without
    a copy, and results have their dtype, whatever the flow computes in; other input becomes the flow's dtype. One row
    may be written without its batch axis, [dim], and its results then have none: `log_prob` gives a number. With
    ``dim == 1`` a 1-D array is n rows of one column, and results have its shape; likewise for the context.

    **Images.** Where `shape` is (channels, height, width), ``x`` is [n, channels, height, width], or one image without
    the first axis; rows [n, dim], in the order of the channels, will do as well. Results have the shape that was given,
    and samples are [n, channels, height, width]. Counts are taken as they are, 0 to levels - 1 in any dtype.

    **Columns.** A flow that was trained on a data frame (of pandas, polars or another library) remembers the names of
    its columns. Data frames in another order are put right then, and those with other names are refused. Where a frame
    of pandas or polars comes in, a frame with the flow's columns, in their order, goes out, with the index it had;
    what is one number a row stays an array.

    **Kinds.** `columns` may have kinds, as `diffeo.for_table` gives them. Then samples have whole numbers for counts
    and categories, and angles within their turn. A whole number n of such a column stands for the cell from n to n + 1:
    densities, noise and gradients are those at its middle, log_prob about that of the probability of n, which
    `log_probability` integrates. A layer that dequantises (`Spec.add_dequantize`) gives it a place in its cell in
    training, another in each epoch. `sample_and_log_prob` has the densities of the samples before they became whole
    numbers. The functions of C know nothing of columns: but for training they take n + u, u in [0, 1), and give it.

    **Bits.** A row's result depends on nothing but the flow, the row and its context: not on the batch, nor on the
    number of threads. A row with NaN gives NaN in that row, one with an infinity has log-density -inf.

    **Threads.** All methods but `fit` and changes of `metadata` may run on many threads at once. Calls release the
    interpreter lock. Flows pickle and copy.
    """

    __slots__ = ("__weakref__", "_handle", "_read")

    def __init__(self, handle: _abi.Handle) -> None:
        self._handle = handle
        # What metadata say of columns, and of which handle: they are read for each call else.
        self._read: tuple[_abi.Handle | None, dict[str, tuple[Column, ...] | None]] = (None, {})

    # -------------------------------------------------------------------------------------------------- facts

    @property
    def dim(self) -> int:
        """Columns of the data."""
        return int(lib.diffeo_flow_dim(self._handle))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an event: (dim,), or (channels, height, width) of images."""
        sizes = np.empty(3, np.int64)
        return tuple(sizes[: lib.diffeo_flow_shape(self._handle, sizes, len(sizes))].tolist())

    @property
    def context_dim(self) -> int:
        """Columns of the context; 0 for a flow without context."""
        return int(lib.diffeo_flow_context_dim(self._handle))

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the flow computes in: float32 or float64."""
        return _DTYPES[lib.diffeo_flow_dtype(self._handle)]

    @property
    def layer_count(self) -> int:
        """Number of layers."""
        return int(lib.diffeo_flow_layer_count(self._handle))

    @property
    def parameter_count(self) -> int:
        """Length of the parameter vector, weights masked to zero and untrained constants included."""
        return int(lib.diffeo_flow_parameter_count(self._handle))

    @property
    def columns(self) -> tuple[Column, ...] | None:
        """The columns of the data, by name: those of the data frame it was trained on, or that were set; or None.

        Each is a str that knows its kind and its unit (`diffeo.Column`). They are saved with the flow, as metadata. To
        set them, give names, some of them as `Column`, or a mapping from names to kinds.

        Examples
        --------
        >>> flow = diffeo.maf(dim=2)
        >>> flow.columns = ["mass", diffeo.Column("phi", "angle", unit="rad")]
        >>> flow.columns == ("mass", "phi"), flow.columns[1].period
        (True, 6.283185307179586)
        """
        return self._stored(_COLUMNS)

    @columns.setter
    def columns(self, columns: Iterable[str] | Mapping[str, Any] | None) -> None:
        self._store(_COLUMNS, _columns.named(columns, self.dim, "columns"))

    @property
    def levels(self) -> tuple[int | None, ...]:
        """Which columns a layer dequantises: of each its levels, 0 for counts without an end, None if it does not."""
        found = np.empty(self.dim, np.int64)
        lib.diffeo_flow_levels(self._handle, found)
        return tuple(None if each < 0 else each for each in found.tolist())

    @property
    def context_columns(self) -> tuple[Column, ...] | None:
        """Likewise of the context.

        Where `context_dim` is the sum of their widths, a category has as many columns as levels, 0 but for a 1, and an
        angle has its cosine and its sine; contexts are then given with one column each.
        """
        return self._stored(_CONTEXT_COLUMNS)

    @context_columns.setter
    def context_columns(self, columns: Iterable[str] | Mapping[str, Any] | None) -> None:
        self._store(_CONTEXT_COLUMNS, _columns.named(columns, self.context_dim, "context_columns"))

    @property
    def prior_box(self) -> tuple[Array, Array] | None:
        """Lowest and highest values that the data can have, [dim] each, infinite for no end; None if not said.

        It is kept with the flow, in the metadata `diffeo.prior_box`, and says nothing of `log_prob` and `sample`, which
        may leak out of it: see `truncated`. Set it to a pair of arrays or numbers, or to None.
        """
        text = self.metadata.get(_box.KEY)
        return None if text is None else _box.read(text)

    @prior_box.setter
    def prior_box(self, box: tuple[npt.ArrayLike, npt.ArrayLike] | None) -> None:
        if box is None:
            self.metadata.pop(_box.KEY, None)
        else:
            self.metadata[_box.KEY] = _box.written(*box, self.dim)

    def truncated(
        self, context: npt.ArrayLike | None = None, *, draws: SupportsIndex = 100_000, seed: SupportsIndex = 0
    ) -> _box.Truncated:
        """Return the flow within its `prior_box`: densities that integrate to 1 there, samples that do not leave it.

        Posteriors that were trained on simulations leak out of their prior, and those of one observation leak otherwise
        than those of another: so the share inside is estimated for one context.

        Parameters
        ----------
        context : array_like, [context_dim], optional
        draws : int
            Samples from which the share inside is estimated.
        seed : int

        Returns
        -------
        Truncated
            With the estimate, `acceptance`, and its standard error, `error`.

        Examples
        --------
        >>> flow = diffeo.Spec(2).build()                         # a standard normal distribution
        >>> flow.prior_box = ([0.0, -np.inf], [np.inf, 1.0])
        >>> inside = flow.truncated(draws=10_000)
        >>> abs(inside.acceptance - 0.5 * 0.8413) < 3 * inside.error
        True
        >>> float(inside.log_prob([-0.1, 0.0]))
        -inf
        """
        if (box := self.prior_box) is None:
            raise ValueError("this flow has no prior_box: set it to (low, high)")
        given = None if context is None else np.asarray(context)
        return _box.truncated(self, *box, given, integer(draws, "draws", 1), seed64(seed))

    @property
    def metadata(self) -> MutableMapping[str, str]:
        """Your own words, key = value, saved with the flow.

        Keys have 1 to 255 bytes in UTF-8, values up to 65535.

        Examples
        --------
        >>> flow = diffeo.maf(dim=2)
        >>> flow.metadata["columns"] = "ra, dec"
        >>> dict(flow.metadata)
        {'columns': 'ra, dec'}
        """
        return Metadata(self)

    def __repr__(self) -> str:
        return (
            f"<diffeo.Flow {f'shape={self._image}' if self._image else f'dim={self.dim}'} "
            f"context_dim={self.context_dim} dtype={self.dtype.name} "
            f"layers={self.layer_count} parameters={self.parameter_count}>"
        )

    def __str__(self) -> str:
        """A summary, one line a layer, and one a column that has a name."""
        lines = [_abi.read_text(lib.diffeo_flow_describe, self._handle).rstrip("\n")]
        for word, columns in ("column", self.columns), ("column of the context", self.context_columns):
            lines += [f"  {word} {i}: {column.describe()}" for i, column in enumerate(columns or ())]
        return "\n".join(lines) + "\n"

    # -------------------------------------------------------------------------------------------- evaluation

    def log_prob(
        self,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        cross: bool = False,
        out: Sliceable | None = None,
    ) -> Array:
        """Log-density of each row, log p(x | context), in nats.

        Parameters
        ----------
        x : array_like, [n, dim] or [dim]; of images [n, channels, height, width] or [channels, height, width]
            An array on disk (a memory map, a data set of h5py, an array of zarr) is read some megabytes at a time, as
            are images in whole numbers; that on disk, of images of one channel, may also be [n, height, width].
        context : array_like, [n, context_dim] or [context_dim], optional
            Required where the flow has a context.
        cross : bool
            Give each of n rows with each of m contexts, [m, context_dim], in place of row by row: [n, m].
        out : array or data set, [n], optional
            What takes slices: an array, a memory map, a data set of h5py. The log-densities are written to it, some at
            a time, and it is returned.

        Returns
        -------
        array [n], or a number for a single row
            In the dtype of `x`; of the flow, where `x` is read piece by piece.

        Raises
        ------
        ValueError
            For wrong shapes.

        Examples
        --------
        >>> flow = diffeo.maf(dim=2)
        >>> flow.log_prob([[0.0, 1.0], [2.0, 3.0]]).shape
        (2,)
        >>> conditional = diffeo.maf(dim=2, context_dim=1)
        >>> conditional.log_prob(np.zeros((5, 2)), np.zeros((3, 1)), cross=True).shape
        (5, 3)
        """
        if cross:
            if out is not None:
                raise ValueError("cross gives [n, m] in memory: leave out out, and give it some rows at a time")
            data, _ = self._inputs(x, np.zeros(self.context_dim) if self.context_dim else None)
            each = _conditional.crossed(self, data, self._context(context, data.dtype))
            return _shaped(each, (*data.batch, each.shape[1]))
        counts = _rows.is_counts(x) and np.shape(x)[1:] == self._image and not any(self._names(x, context))
        if out is not None or counts or _rows.is_lazy(x) or _rows.is_lazy(context):
            by_the_piece: Array = self._log_prob_by_the_piece(x, context, out)
            return by_the_piece
        data, given = self._inputs(x, context)
        log_prob = np.empty(len(data), data.dtype)
        self._evaluate("log_prob", data, given, log_prob)
        return _shaped(log_prob, data.batch)

    def grad_log_prob(self, x: npt.ArrayLike, context: npt.ArrayLike | None = None) -> Array:
        """Gradient of the log-density with respect to `x`, d log p(x | context) / dx: the score.

        Parameters
        ----------
        x, context
            As in `log_prob`.

        Returns
        -------
        array of the shape and dtype of `x`, or a data frame
        """
        data, given = self._inputs(x, context)
        gradient = np.empty_like(data.array)
        self._evaluate("log_prob_gradient", data, given, None, gradient, None)
        found: Array = self._as_given(x, gradient, data)
        return found

    def grad_log_prob_context(self, x: npt.ArrayLike, context: npt.ArrayLike) -> Array:
        """Gradient of the log-density with respect to the context, d log p(x | context) / d context.

        Parameters
        ----------
        x, context
            As in `log_prob`.

        Returns
        -------
        array [n, context_dim], or [context_dim] for a single row
            A row for each row of `x`, also when one row of context serves all.
        """
        data, given = self._inputs(x, context)
        if given is None:
            raise InvalidArgumentError("this flow has no context to differentiate by: its context_dim is 0")
        gradient = np.empty((len(data), given.array.shape[1]), data.dtype)
        self._evaluate("log_prob_gradient", data, given, None, None, gradient)
        return _shaped(gradient, data.batch + given.event)

    def to_noise(self, x: npt.ArrayLike, context: npt.ArrayLike | None = None) -> tuple[Array, Array]:
        """Map data to noise; `from_noise` of it is the reconstruction.

        Parameters
        ----------
        x, context
            As in `log_prob`.

        Returns
        -------
        z : array of the shape and dtype of `x`, or a data frame
            Standard normal, were the flow exact.
        log_det : array [n], or a number for a single row
            log abs(det dz/dx), in nats.
        """
        return self._map("to_noise", x, context, "x")

    def from_noise(self, z: npt.ArrayLike, context: npt.ArrayLike | None = None) -> tuple[Array, Array]:
        """Map noise to data: the inverse of `to_noise`.

        Parameters
        ----------
        z, context
            As `x` and `context` in `log_prob`.

        Returns
        -------
        x : array of the shape and dtype of `z`, or a data frame
        log_det : array [n], or a number for a single row
            log abs(det dx/dz), in nats.
        """
        return self._map("from_noise", z, context, "z")

    def log_probability(
        self,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        conditional: bool = False,
        tolerance: float | None = None,
        draws: SupportsIndex = 4096,
        seed: SupportsIndex = 0,
    ) -> tuple[Array, Array]:
        """Log-probability of counts and categories: the density, integrated over the cells from n to n + 1.

        Of other columns it stays a density. Counts are columns of these kinds, and those of `levels`. One or two are
        integrated by adaptive cubature [1]_, in some dozens to hundreds of densities a row for one, some hundreds to
        tens of thousands for two. Of more it is the mean over places in the cells that are drawn, the same in all.

        Parameters
        ----------
        x, context
            As in `log_prob`, whole numbers for counts and categories; read as a whole.
        conditional : bool
            Of the counts and categories given the other columns, log P(n | other columns): divided by the sum over all
            n, which is an integral, too. For one or two of them; two counts without an end take some hundred thousand
            densities a row.
        tolerance : float, optional
            Wanted of the error by cubature: by default 1e-6, of flows in float32 1e-3, for their rounding. It may stay
            above, as the error says, where a density jumps or its numbers are rounded too much.
        draws, seed : int
            Of places, 2 or more, and of their random numbers.

        Returns
        -------
        log_probability, error : arrays [n], or numbers for a single row
            The error of the former: by cubature the difference from a coarser rule, which is beyond what is left, and
            what rounding in the dtype of the flow may do; of places the standard error.

        Raises
        ------
        ValueError
            For an x that is no count, with the rows, and for a flow without counts.
        NotImplementedError
            For `conditional` of more than two.

        References
        ----------
        .. [1] Piessens, de Doncker-Kapenga, Ueberhuber, Kahaner, "QUADPACK", Springer 1983.

        Examples
        --------
        >>> spec = diffeo.Spec(dim=1, dtype="float64").add_dequantize(0).add_domain("softplus", low=0)
        >>> log_p, error = spec.build().log_probability(np.arange(60.0)[:, None])
        >>> bool(abs(np.exp(log_p).sum() - 1) < 1e-6), bool(error.max() < 1e-6)
        (True, True)
        """
        data, given = self._inputs(x, context)
        default = 1e-3 if self.dtype == np.float32 else 1e-6
        accuracy = default if tolerance is None else real(tolerance, "tolerance")
        found = _probability.log_probability(
            self, data, given, conditional=conditional, tolerance=accuracy,
            draws=integer(draws, "draws", 2), seed=seed64(seed),
        )  # fmt: skip
        log, error = (_shaped(values.astype(data.dtype), data.batch) for values in found)
        return log, error

    def bits_per_dim(
        self,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        seed: SupportsIndex = 0,
        draws: SupportsIndex = 1,
    ) -> Array:
        """Bits per dimension of counts, the mean over draws of -log p(x + u) / (dim log 2), u uniform in [0, 1).

        In the mean over u it is no less than -log2 P(x) / dim of the discrete distribution P that the flow has with its
        samples rounded down [1]_. Noise goes by the seed, the number of the row in `x` and that of the draw.

        Parameters
        ----------
        x, context
            As in `log_prob`, of integers 0 to levels - 1 in any dtype, but for columns that are not dequantised; read
            as a whole.
        seed : int
            Of the noise.
        draws : int
            1 or more.

        Returns
        -------
        array [n], or a number for a single row

        Raises
        ------
        ValueError
            For an x that is no count, with the row, and for a flow that dequantises no columns (`levels`).

        References
        ----------
        .. [1] Theis, van den Oord, Bethge, "A note on the evaluation of generative models", ICLR 2016.

        Examples
        --------
        >>> flow = diffeo.glow_image((1, 4, 4), levels=1, steps=1, hidden=(8,))
        >>> flow.bits_per_dim(np.full((2, 1, 4, 4), 7, np.uint8)).shape
        (2,)
        """
        data, given = self._inputs(x, context)
        bits = np.empty(len(data), data.dtype)
        typed("diffeo_flow_bits_per_dim", data.dtype)(
            self._handle,
            data.array,
            len(data),
            *pointer_and_count(given),
            seed64(seed),
            integer(draws, "draws", 1),
            workspace(),
            bits,
        )
        return _shaped(bits, data.batch)

    def interpolate(
        self,
        a: npt.ArrayLike,
        b: npt.ArrayLike,
        steps: SupportsIndex,
        context: npt.ArrayLike | None = None,
        *,
        spherical: bool = False,
    ) -> Array:
        """Go from one row to another through the noise, both ends included.

        In a straight line there, as Glow's pictures do [1]_. Spherical, along the great circle: sin((1 - t) w) / sin(w)
        and sin(t w) / sin(w) times the noises, w the angle between them [2]_. In many dimensions normal noise lies near
        a sphere, which a straight line cuts short, as if the temperature were lower halfway.

        Parameters
        ----------
        a, b : array_like
            Both as `x` in `log_prob`, in the same shape.
        steps : int
            2 or more, the ends among them.
        context
            As in `log_prob`, for both.
        spherical : bool
            Along the great circle.

        Returns
        -------
        array [n, steps, ...], or [steps, ...] for single rows
            In the dtype of `a`.

        References
        ----------
        .. [1] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018.
        .. [2] White, "Sampling generative networks", arXiv 1609.04468, 2016.

        Examples
        --------
        >>> flow = diffeo.maf(dim=2)
        >>> flow.interpolate([0.0, 1.0], [2.0, 3.0], 5).shape
        (5, 2)
        """
        count = integer(steps, "steps", 2)
        first, given = self._inputs(a, context, "a")
        last, _ = self._inputs(b, context, "b")
        if (first.batch, first.event) != (last.batch, last.event):
            shapes = first.batch + first.event, last.batch + last.event
            raise ShapeError(f"a has shape {shapes[0]}, b has {shapes[1]}: give both in the same shape")
        noises = np.empty_like(first.array), np.empty_like(last.array)
        for ends, noise in zip((first, last), noises, strict=True):
            self._evaluate("to_noise", ends, given, noise, None)
        between = _between(*noises, count, spherical).reshape(-1, self.dim)
        path = Rows(between.astype(first.dtype), (*first.batch, count), first.event)
        if given is not None and len(given) > 1:
            given = Rows(np.repeat(given.array, count, axis=0), given.batch, given.event)
        x = np.empty_like(path.array)
        self._evaluate("from_noise", path, given, x, None)
        return _shaped(_columns.as_data(x, self.columns), path.batch + path.event)

    def sample(
        self,
        n: SupportsIndex,
        context: npt.ArrayLike | None = None,
        *,
        temperature: float = 1.0,
        seed: SupportsIndex | None = None,
        first_row: SupportsIndex = 0,
        per_context: bool = False,
        frame: FrameName | None = None,
    ) -> Any:
        """Draw samples number first_row to first_row + n - 1 of a seed.

        A sample depends on the flow, the seed, its own number and its context alone [1]_: a long run may be cut into
        pieces, over threads or machines, and gives the same rows.

        Parameters
        ----------
        n : int
            Number of rows.
        context : array_like, [n, context_dim] or [context_dim], optional
            Required where the flow has a context.
        temperature : float
            What the distance of the noise from its mean is multiplied by [2]_, above 0: below 1 samples are nearer to
            what is typical. Other than 1 for the bases standard_normal, normal and logistic.
        seed : int, optional
            0 to 2**64 - 1. By default a fresh one from the entropy of the operating system: no two calls are alike.
        first_row : int
            Number of the first sample.
        per_context : bool
            Draw n for each of m contexts, [m, context_dim]: sample j of context i is number first_row + i n + j.
        frame : {"pandas", "polars"}, optional
            Give a data frame of this library, with the columns of the flow by name, or by number where they have none.
            By default that is so where the context is a data frame. Not with `per_context`.

        Returns
        -------
        array [n, dim], or [n, channels, height, width], or a data frame
            In the dtype of the flow. With `per_context` an array with one axis more in front, [m, n, ...].

        Raises
        ------
        NotImplementedError
            For a temperature other than 1 where the base has none.

        References
        ----------
        .. [1] Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 (Philox4x32-10).
        .. [2] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018, section 6.

        Examples
        --------
        >>> flow = diffeo.maf(dim=2)
        >>> whole = flow.sample(10, seed=1)
        >>> bool((flow.sample(4, seed=1, first_row=6) == whole[6:]).all())
        True
        """
        x, _ = self._sample(n, context, temperature, seed, first_row, False, per_context)
        return self._framed(x, context, frame, per_context)

    def sample_and_log_prob(
        self,
        n: SupportsIndex,
        context: npt.ArrayLike | None = None,
        *,
        temperature: float = 1.0,
        seed: SupportsIndex | None = None,
        first_row: SupportsIndex = 0,
        per_context: bool = False,
        frame: FrameName | None = None,
    ) -> tuple[Any, Array]:
        """Draw samples and give their log-densities, for less than the cost of both.

        Parameters
        ----------
        n, context, temperature, seed, first_row, per_context, frame
            As in `sample`.

        Returns
        -------
        x : array [n, dim], or [n, channels, height, width], or a data frame
        log_prob : array [n], or [m, n]
            In nats. With a temperature other than 1, of the distribution that these samples are drawn from, which is
            not the flow's.
        """
        x, log_prob = self._sample(n, context, temperature, seed, first_row, True, per_context)
        return self._framed(x, context, frame, per_context), log_prob

    def quantiles(
        self,
        q: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        draws: SupportsIndex = 10_000,
        seed: SupportsIndex = 0,
    ) -> Array:
        """Quantiles of each column given each context, by sampling.

        Parameters
        ----------
        q : float or sequence of float
            0 to 1.
        context : array_like, [m, context_dim] or [context_dim], optional
            Required where the flow has a context.
        draws : int
            Samples a context. A quantile q has the standard error sqrt(q (1 - q) / draws) in q.
        seed : int
            Of the samples: those of `sample` with `per_context`.

        Returns
        -------
        array [m, len(q), dim], float64
            Without the first axis for a single context, without the second for a single q. Those of an angle are
            counted from its circular mean, half a turn to both sides, and may lie outside of its turn.

        Examples
        --------
        >>> flow = diffeo.maf(dim=2, context_dim=1)
        >>> flow.quantiles([0.16, 0.5, 0.84], np.zeros((5, 1)), draws=100).shape
        (5, 3, 2)
        """
        levels, count = _conditional.checked_quantiles(q), integer(draws, "draws", 2)
        found = [
            (_conditional.quantiles(samples, np.atleast_1d(levels), self.columns), batch)
            for samples, batch in _conditional.many_samples(self, context, count, seed64(seed))
        ]
        return self._of_contexts(found, (*levels.shape, self.dim))

    def credible_intervals(
        self,
        level: float = 0.9,
        context: npt.ArrayLike | None = None,
        *,
        kind: _conditional.Interval = "central",
        draws: SupportsIndex = 10_000,
        seed: SupportsIndex = 0,
    ) -> Array:
        """Intervals that hold each column with a probability given each context, by sampling.

        Parameters
        ----------
        level : float
            The probability, above 0 and below 1.
        context, draws, seed
            As in `quantiles`.
        kind : {"central", "shortest"}
            Between the quantiles (1 - level) / 2 and (1 + level) / 2, or the shortest one.

        Returns
        -------
        array [m, dim, 2], float64
            Lower and upper ends; without the first axis for a single context.
        """
        part, count = _conditional.checked_level(level), integer(draws, "draws", 2)
        choice(kind, {"central": 0, "shortest": 1}, "kind")
        found = [
            (_conditional.intervals(samples, part, kind, self.columns), batch)
            for samples, batch in _conditional.many_samples(self, context, count, seed64(seed))
        ]
        return self._of_contexts(found, (self.dim, 2))

    def given(self, columns: Sequence[Any]) -> _conditional.Given:
        """Return the distribution of the other columns given these: exact, for columns that come first.

        The noise of the columns must depend on nothing but them: in an autoregressive flow they come first in the order
        of every layer, and nothing mixes them with others. Then the noise of the others is independent of theirs. Flows
        by name take turns with natural and reversed orders: one with `transforms=1`, or a `Spec` with the same order
        in all layers, is such a flow.

        Parameters
        ----------
        columns : sequence of str or int
            By name or number, in any order.

        Returns
        -------
        Given
            With `log_prob` and `sample`. It is no flow that can be saved or trained.

        Raises
        ------
        NotImplementedError
            Where their noise depends on others, and for other bases than standard_normal, logistic and uniform.

        Examples
        --------
        >>> flow = diffeo.maf(dim=3, transforms=1)
        >>> last = flow.given([0, 1])
        >>> last.log_prob([[0.5]], [[1.0, 2.0]]).shape, last.sample(10, [1.0, 2.0], seed=1).shape
        ((1,), (10, 1))
        """
        return _conditional.Given(self, columns)

    def sample_to(
        self,
        path: Path,
        n: SupportsIndex,
        context: npt.ArrayLike | None = None,
        *,
        temperature: float = 1.0,
        seed: SupportsIndex | None = None,
        first_row: SupportsIndex = 0,
    ) -> None:
        """Draw samples and write them to a file, some megabytes at a time.

        Parameters
        ----------
        path : str or os.PathLike
            Ending in ``.npy``: an array [n, dim], or [n, channels, height, width]. Else an HDF5 file with the data sets
            "x" [n, dim], of images too, and "log_prob" [n]. The file has its name when all is in it.
        n, context, temperature, seed, first_row
            As in `sample`, whose rows they are; the context may be on disk. Other temperatures than 1 are for
            ``.npy``.

        Raises
        ------
        OSError
            If the file cannot be written.
        NotImplementedError
            For what only ``.npy`` takes, or a temperature other than 1 where the base has none.
        """
        count, dtype = integer(n, "n", 0), self.dtype
        number = secrets.randbits(64) if seed is None else seed64(seed)
        first = integer(first_row, "first_row", 0, 2**64 - 1)
        if os.fsdecode(path).endswith(".npy"):
            self._sample_to_npy(path, count, context, temperature, number, first)
            return
        if real(temperature, "temperature") != 1:
            raise UnsupportedError("samples at a temperature other than 1 go to .npy files")
        if any(column.discrete or column.kind == "angle" for column in self.columns or ()):
            raise UnsupportedError("samples of counts, categories and angles go to .npy files")
        rows = None
        if context is not None or self.context_dim:
            rows = _rows.context_source(context, self.context_dim, count, dtype, self.context_columns)
        with rows.reading() if rows else nullcontext():
            lib.diffeo_flow_sample_file(
                self._handle, number, first, count, rows and rows.handle, workspace(), encoded(path)
            )

    # --------------------------------------------------------------------------------------------- gradients

    def log_prob_vjp(
        self,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        g_log_prob: npt.ArrayLike,
        of: Collection[Of] = ALL,
    ) -> Gradients:
        """Differentiate a loss of `log_prob`: its vector-Jacobian product (reverse mode).

        Parameters
        ----------
        x, context
            As in `log_prob`.
        g_log_prob : array_like, [n], or one number for all rows
            The loss differentiated by each log-density: weights, signs and the 1 / n of a mean are in it.
        of : some of "rows", "context", "parameters"
            What the loss is to be differentiated by.

        Returns
        -------
        Gradients
            `rows`, `context` and `parameters`, summed over the rows in their order: the same bits for any number of
            threads.

        Examples
        --------
        >>> flow = diffeo.maf(dim=2, hidden=(8,))
        >>> gradient = flow.log_prob_vjp([[0.0, 1.0], [2.0, 3.0]], g_log_prob=-0.5).parameters
        >>> gradient.shape == (flow.parameter_count,)
        True
        """
        data, given = self._inputs(x, context)
        cotangents = (_vjp.cotangent(g_log_prob, (len(data),), data.dtype, "g_log_prob"),)
        return self._pulled_back("log_prob", data, given, cotangents, of)

    def to_noise_vjp(
        self,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        g_z: npt.ArrayLike | None = None,
        g_log_det: npt.ArrayLike | None = None,
        of: Collection[Of] = ALL,
    ) -> Gradients:
        """Differentiate a loss of `to_noise`.

        Parameters
        ----------
        x, context
            As in `log_prob`.
        g_z : array_like, as z, optional
            The loss differentiated by z; zeros by default.
        g_log_det : array_like, [n], optional
            The loss differentiated by the log-determinants; zeros by default.
        of
            As in `log_prob_vjp`.

        Returns
        -------
        Gradients
            As in `log_prob_vjp`.
        """
        data, given = self._inputs(x, context)
        return self._pulled_back("to_noise", data, given, self._cotangents(data, g_z, "g_z", g_log_det), of)

    def from_noise_vjp(
        self,
        z: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        g_x: npt.ArrayLike | None = None,
        g_log_det: npt.ArrayLike | None = None,
        of: Collection[Of] = ALL,
    ) -> Gradients:
        """Differentiate a loss of `from_noise`.

        Parameters
        ----------
        z, context
            As in `from_noise`.
        g_x, g_log_det, of
            As in `to_noise_vjp`.

        Returns
        -------
        Gradients
            As in `log_prob_vjp`; `rows` are those of z.
        """
        data, given = self._inputs(z, context, "z", of_data=False)
        return self._pulled_back("from_noise", data, given, self._cotangents(data, g_x, "g_x", g_log_det), of)

    def sample_vjp(
        self,
        n: SupportsIndex,
        context: npt.ArrayLike | None = None,
        *,
        seed: SupportsIndex,
        first_row: SupportsIndex = 0,
        g_x: npt.ArrayLike | None = None,
        g_log_prob: npt.ArrayLike | None = None,
        of: Collection[Of] = ALL,
    ) -> Gradients:
        """Differentiate a loss of `sample_and_log_prob`, the seed held fixed: by reparameterisation [1]_.

        Samples of a mixture base move with their distribution [2]_: there the gradient is right in the mean over seeds.

        Parameters
        ----------
        n, context, seed, first_row
            As in `sample`.
        g_x : array_like, as the samples, optional
            The loss differentiated by the samples; zeros by default.
        g_log_prob : array_like, [n], optional
            The loss differentiated by their log-densities; zeros by default.
        of
            As in `log_prob_vjp`; there are no rows.

        Returns
        -------
        Gradients
            As in `log_prob_vjp`, without `rows`.

        Raises
        ------
        UnsupportedError
            If the base is a MADE whose samples are 0 or 1, or that has several masks.

        References
        ----------
        .. [1] Kingma, Welling, "Auto-encoding variational Bayes", ICLR 2014.
        .. [2] Figurnov, Mohamed, Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
        """
        count, dtype = integer(n, "n", 0), self.dtype
        names = self._names(None, context)[1]
        given = context_rows(context, self.context_dim, count, dtype, "the sample", names=names)
        cotangents = (
            _vjp.cotangent(g_x, (count, self.dim), dtype, "g_x", self._image),
            _vjp.cotangent(g_log_prob, (count,), dtype, "g_log_prob"),
        )
        before = (seed64(seed), integer(first_row, "first_row", 0, 2**64 - 1), count)
        return _vjp.pulled_back(self, "sample", before, count, given, dtype, cotangents, of, rows=None)

    # ---------------------------------------------------------------------------------------------- training

    def fit(
        self,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        weights: npt.ArrayLike | None = None,
        validation: train.Validation = 0.1,
        judge: Judge = "mean",
        batch_size: SupportsIndex = 512,
        max_epochs: SupportsIndex = 100,
        patience: SupportsIndex = 10,
        lr: float = 1e-3,
        optimizer: Optimizer = "adam",
        schedule: Schedule = "constant",
        warmup_steps: SupportsIndex = 0,
        rate_decay: float = 0.5,
        plateau_patience: SupportsIndex = 5,
        betas: tuple[float, float] = (0.9, 0.999),
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        clip_quantile: float = 0.9,
        clip_norm: float = 0.0,
        ema_decay: float = 0.0,
        x_noise: float = 0.0,
        image_flip: bool = False,
        image_shift: SupportsIndex = 0,
        negative_weights: bool = False,
        rows_memory: SupportsIndex = 2**28,
        seed: SupportsIndex = 0,
        threads: SupportsIndex | None = None,
        progress: bool | float = True,
        on_progress: Callable[[train.Trainer[Flow]], object] | None = None,
        checkpoint: Path | None = None,
        every: SupportsIndex = 1,
        stop_signals: Iterable[int] = (),
    ) -> train.History:
        """Train by maximum likelihood; the flow then has the weights that were best on held-out rows.

        A loop over a `diffeo.Trainer`, which says what the data and options are. However training ends, be it by an
        exception or by Ctrl-C, which passes within a minibatch, the flow has the best weights so far.

        Parameters
        ----------
        x, context, **options
            Data and all options but those below: see `diffeo.Trainer`.
        progress : bool or float
            Show a tqdm bar on stderr or, in a pipe, a file or without tqdm, a line every ten seconds or so many:
            epochs, mean log-likelihood a row of training and validation, in nats, steps skipped, time left to
            `max_epochs`, rows a second, the part of steps with a clipped gradient. For programs, the logger
            ``diffeo`` of `logging` has a record for every epoch at the level INFO, with the attributes of a `Report`.
        on_progress : callable, optional
            Called with the trainer after every epoch, when this flow has the best weights so far; a true result stops
            the training.
        checkpoint : str or os.PathLike, optional
            A file to write the training to after epochs and however it ends; where it exists, the training goes on from
            it, with the bits of one that never stopped, and a finished one ends at once. It is refused if it is of
            another training (see `Trainer.load`). It is a file of the best flow, too.
        every : int
            Epochs from one checkpoint to the next.
        stop_signals : iterable of int
            Such as ``[signal.SIGTERM]``, which Slurm sends before it kills: the training then ends within a minibatch,
            with ``stopped == "signal"``, its checkpoint written. In the main thread only.

        Returns
        -------
        History

        Raises
        ------
        ArithmeticError
            As the trainer does, and when no step of a whole epoch was finite.
        ValueError
            For wrong shapes and options, and for the checkpoint of another training.

        Warns
        -----
        TrainingWarning
            As the trainer does; when validation worsens while training still improves; at the end, when steps were
            skipped. Each once.

        Examples
        --------
        >>> x = np.random.default_rng(0).normal(3.0, 2.0, size=(1000, 2))
        >>> flow = diffeo.maf(dim=2, transforms=2, hidden=(16,))
        >>> history = flow.fit(x, max_epochs=3, progress=False)
        >>> history.epoch, history.stopped
        ([1, 2, 3], 'max_epochs')
        """
        trainer = train.Trainer(
            self,
            x,
            context,
            weights=weights,
            validation=validation,
            judge=judge,
            batch_size=batch_size,
            max_epochs=max_epochs,
            patience=patience,
            lr=lr,
            optimizer=optimizer,
            schedule=schedule,
            warmup_steps=warmup_steps,
            rate_decay=rate_decay,
            plateau_patience=plateau_patience,
            betas=betas,
            momentum=momentum,
            weight_decay=weight_decay,
            l2=l2,
            clip_quantile=clip_quantile,
            clip_norm=clip_norm,
            ema_decay=ema_decay,
            x_noise=x_noise,
            image_flip=image_flip,
            image_shift=image_shift,
            negative_weights=negative_weights,
            rows_memory=rows_memory,
            seed=seed,
            threads=threads,
        )
        with StopSignals(stop_signals) as stop:
            return train.run(
                self,
                trainer,
                progress=progress,
                on_progress=on_progress,
                checkpoint=checkpoint,
                every=integer(every, "every", 1),
                stop=stop,
            )

    def fit_target(
        self,
        target: Target,
        context: npt.ArrayLike | None = None,
        *,
        steps: SupportsIndex = 2000,
        batch_size: SupportsIndex = 256,
        window: SupportsIndex = 100,
        patience: SupportsIndex = 0,
        estimator: Estimator = "path",
        draws: SupportsIndex = 8,
        tempering: float = 1.0,
        tempering_steps: SupportsIndex = 0,
        lr: float = 5e-3,
        optimizer: Optimizer = "adam",
        schedule: Schedule = "cosine",
        warmup_steps: SupportsIndex = 0,
        rate_decay: float = 0.5,
        plateau_patience: SupportsIndex = 5,
        betas: tuple[float, float] = (0.9, 0.999),
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        clip_quantile: float = 0.9,
        clip_norm: float = 0.0,
        ema_decay: float = 0.0,
        seed: SupportsIndex = 0,
        threads: SupportsIndex | None = None,
        progress: bool | float = True,
        on_progress: Callable[[TargetTrainer[Flow]], object] | None = None,
        checkpoint: Path | None = None,
        every: SupportsIndex = 1,
        stop_signals: Iterable[int] = (),
    ) -> TargetHistory:
        """Train the flow in place to a density that can be evaluated: variational inference, without data.

        However the training ends, the flow then has the weights of the window with the best bound. Ctrl-C, an exception
        of the target or of `on_progress` end it, too.

        Parameters
        ----------
        target : callable
            ``target(x)``, or ``target(x, context)``: log p of each row of x, up to a constant, [n], and its gradient,
            [n, dim]. See `diffeo.targets` for functions of PyTorch and JAX and for Stan models. Or a function of C, as
            the header's `diffeo_target_f32` or `diffeo_target_f64`, by the flow's dtype: of a `ctypes.CDLL`, of
            `ctypes.CFUNCTYPE`, or compiled by Numba's `cfunc`. Its `user` is NULL.
        context : array_like, [n, context_dim], optional
            Rows that samples are drawn given, in turns.
        steps, batch_size, window, patience, estimator, draws, tempering, tempering_steps
            As in `TargetTrainer`.
        lr, optimizer, schedule, warmup_steps, rate_decay, plateau_patience, betas, momentum, weight_decay, l2, \
                clip_quantile, clip_norm, ema_decay, seed, threads
            As in `Trainer`.
        progress, on_progress, checkpoint, every, stop_signals
            As in `fit`; `on_progress` gets the `TargetTrainer`, after every window, and `every` counts windows.

        Returns
        -------
        TargetHistory

        Raises
        ------
        ArithmeticError
            When no step of a whole window was finite. The flow keeps the best weights.
        NotImplementedError
            For a flow with batch normalisation, or without derivatives of its samples (see `sample_vjp`).

        Examples
        --------
        >>> def banana(x):
        ...     bend = x[:, 1] - x[:, 0] ** 2
        ...     log_p = -0.5 * x[:, 0] ** 2 - 2 * bend**2
        ...     return log_p, np.stack([-x[:, 0] + 8 * x[:, 0] * bend, -4 * bend], axis=1)
        >>> flow = diffeo.realnvp(dim=2, transforms=4, hidden=(32, 32))
        >>> history = flow.fit_target(banana, steps=300, progress=False)
        >>> bool(abs(history.log_evidence[-1] - np.log(np.pi)) < 0.1)   # of the integral, sqrt(2 pi) sqrt(pi / 2)
        True
        """
        trainer = TargetTrainer(
            self,
            target,
            context,
            steps=steps,
            batch_size=batch_size,
            window=window,
            patience=patience,
            estimator=estimator,
            draws=draws,
            tempering=tempering,
            tempering_steps=tempering_steps,
            lr=lr,
            optimizer=optimizer,
            schedule=schedule,
            warmup_steps=warmup_steps,
            rate_decay=rate_decay,
            plateau_patience=plateau_patience,
            betas=betas,
            momentum=momentum,
            weight_decay=weight_decay,
            l2=l2,
            clip_quantile=clip_quantile,
            clip_norm=clip_norm,
            ema_decay=ema_decay,
            seed=seed,
            threads=threads,
        )
        with StopSignals(stop_signals) as stop:
            return run_to_target(
                self,
                trainer,
                progress=progress,
                on_progress=on_progress,
                checkpoint=checkpoint,
                every=integer(every, "every", 1),
                stop=stop,
            )

    # ---------------------------------------------------------------------------------------------- judgement

    def report(
        self,
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
        """Hold the flow against rows that it was not trained on: numbers, tests, and a page with pictures.

        The page is one file with its pictures inside. The same arguments give the same report, but for the timing.
        Needs SciPy, scikit-learn and, for the page, Matplotlib: ``pip install "diffeo[report]"``. Takes seconds.

        Parameters
        ----------
        x, context
            As in `log_prob`, 100 rows at least, independent of each other. Rows must be finite; those to which the flow
            gives no density are counted.
        history : History, TargetHistory, or a mapping of names to them, optional
            Of the training, for its learning curve.
        train, train_context : array_like, [m, dim] and [m, context_dim], optional
            What a Gaussian and a mixture of up to 32 are fitted to for comparison: the rows that the flow was trained
            on. By default one half of `x`, and densities are compared on the other.
        weights : array_like, [n], optional
            Of the rows, 0 or more. A row is kept with a probability of its weight over the largest one.
        names : sequence of str, optional
            Of the columns; by default those of the data frame, those of the flow, or numbers.
        row_names : sequence, optional
            Of the rows of `x`; by default the index of the data frame. The worst rows are called by them.
        rows_at_most : int
            100 or more. Of more rows as many are drawn, which the report says.
        false_alarms : float
            Between 0 and 1: the share of reports on a right flow in which any test says that it is wrong, at most.
        seed : int
            0 to 2**64 - 1, of all that is drawn.
        timing : bool
            Measure rows a second.
        title : str
            Of the page.

        Returns
        -------
        FlowReport
            ``print`` it, ask ``flagged`` and ``tests``, ``save("report.html")`` or ``save("report.json")``.

        Raises
        ------
        ImportError
            Without SciPy or scikit-learn.
        ValueError
            For wrong shapes and too few rows.
        ArithmeticError
            For a NaN or an infinity in x or the context, with its place, and where fewer than 100 rows have a density.
        """
        return report_of(
            self,
            x,
            context,
            history=history,
            train=train,
            train_context=train_context,
            weights=weights,
            names=names,
            row_names=row_names,
            rows_at_most=rows_at_most,
            false_alarms=false_alarms,
            seed=seed,
            timing=timing,
            title=title,
        )

    # -------------------------------------------------------------------------------------- parameters, files

    def parameters(self) -> Array:
        """All parameters as one vector of `parameter_count` values, in the dtype of the flow: a copy."""
        parameters = np.empty(self.parameter_count, self.dtype)
        typed("diffeo_flow_parameters", parameters.dtype)(self._handle, parameters)
        return parameters

    def trained_parameters(self) -> npt.NDArray[np.bool_]:
        """Which parameters a training moves: not constants, and not weights that masks hide, which are 0."""
        trained = np.empty(self.parameter_count, np.uint8)
        lib.diffeo_flow_trained_parameters(self._handle, trained)
        return trained.astype(bool)

    def with_parameters(self, parameters: npt.ArrayLike) -> Flow:
        """Return the same flow with other values for all parameters.

        Parameters
        ----------
        parameters : array_like, [parameter_count]
            In the order of `parameters`; finite, else an ArithmeticError is raised.
        """
        theta = vector(parameters, self.parameter_count, "parameters", self.dtype)
        return Flow(_abi.create(_abi.Flow, typed("diffeo_flow_with_parameters", theta.dtype), self._handle, theta))

    def after(self, first: Flow | Buildable, seed: SupportsIndex = 0) -> Flow:
        """Return this flow behind other layers: data goes through these first. See `compose`.

        Parameters
        ----------
        first : Flow or Spec
            A spec is built in the dtype of this flow.
        seed : int
            Of a spec.

        Examples
        --------
        >>> flow = diffeo.maf(dim=2)                              # of standardised data
        >>> whole = flow.after(diffeo.Spec(2).add_standardize([5.0, -3.0], [2.0, 0.1]))
        """
        return compose(self._built(first, seed), self)

    def before(self, then: Flow | Buildable, seed: SupportsIndex = 0) -> Flow:
        """Return this flow before other layers and their base, at which data ends: `after`, the other way round.

        Parameters
        ----------
        then, seed
            As in `after`.

        Examples
        --------
        >>> heavy_tailed = diffeo.maf(dim=2).before(diffeo.Spec(2).set_base("student_t", df=3))
        """
        return compose(self, self._built(then, seed))

    def _built(self, part: Flow | Buildable, seed: SupportsIndex) -> Flow:
        if isinstance(part, Flow):
            return part
        if not isinstance(part, Buildable):
            raise TypeError(f"a Flow or Spec is wanted, not {type(part).__name__}")
        return part._build_in(self.dtype, seed)

    def save(self, path: Path | Writable) -> None:
        """Save to one HDF5 file: after a crash it is the old file or the new one, never half of it.

        Parameters
        ----------
        path : str, os.PathLike or binary file object
            An object with a method `write` that takes bytes is written to.

        Raises
        ------
        OSError
            FileNotFoundError if the folder does not exist.
        """
        if isinstance(path, Writable):
            path.write(self.to_bytes())
            return
        target = encoded(path)
        with missing_is(path, folder(path)):
            lib.diffeo_flow_save(self._handle, target)

    def to_bytes(self) -> bytes:
        """Return the file that `save` would write, for `diffeo.from_bytes`."""
        size = ctypes.c_size_t()
        lib.diffeo_flow_save_memory(self._handle, None, 0, byref(size))
        image = ctypes.create_string_buffer(size.value)
        lib.diffeo_flow_save_memory(self._handle, image, size.value, byref(size))
        return image.raw[: size.value]

    def __reduce__(self) -> tuple[Callable[[bytes], Flow], tuple[bytes]]:
        return from_bytes, (self.to_bytes(),)

    # ----------------------------------------------------------------------------------------------- private

    @property
    def _image(self) -> Image:
        """The shape of an event where it is an image."""
        shape = self.shape
        return shape if len(shape) > 1 else None

    def _inputs(
        self,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None,
        name: str = "x",
        context_name: str = "context",
        names: train.Names | None = None,
        many: bool = False,
        of_data: bool = True,
        in_training: bool = False,
    ) -> tuple[Rows, Rows | None]:
        """many: the first axis of x counts rows. of_data: x is no noise."""
        columns, context_columns = names or self._names(x, context)
        if of_data:
            x = _columns.table(x, self.columns, name)
        data = rows(x, self.dim, self.dtype, name, "dim", columns, self._image, many or _rows.is_lazy(x))
        if of_data and (cells := Cells(self.columns or ())):
            moved = cells.checked(data.array, name) if in_training else cells.middle(data.array, name)
            data = Rows(moved, data.batch, data.event)
        context = _columns.encoded(context, self.context_columns, self.context_dim, context_name)
        given = context_rows(context, self.context_dim, len(data), data.dtype, name, context_name, context_columns)
        return data, given

    def _as_given(self, written: Any, values: Array, data: Rows, *, of_data: bool = False) -> Any:
        """Rows in the shape that x came in, or as a frame where it was one."""
        if of_data:
            values = _columns.as_data(values, self.columns)
        if _columns.is_frame(written):
            columns = self.columns or labels(written, self.dim)
            return _columns.like(written, values, columns if of_data or not columns else [*map(str, columns)])
        return _shaped(values, data.batch + data.event)

    def _context(self, context: npt.ArrayLike | None, dtype: np.dtype[Any] | None = None) -> Rows:
        """Contexts by themselves, one or many."""
        if self.context_dim == 0:
            raise ShapeError("this flow has no context: its context_dim is 0")
        if context is None:
            raise ShapeError(f"context is missing: this flow has context_dim {self.context_dim}")
        names = self._names(None, context)[1]
        written = _columns.encoded(context, self.context_columns, self.context_dim, "context")
        found = rows(written, self.context_dim, self.dtype, "context", "context_dim", names)
        return Rows(np.require(found.array, dtype or self.dtype), found.batch, found.event)

    def _of_contexts(self, found: list[tuple[Array, tuple[int, ...]]], shape: tuple[int, ...]) -> Array:
        """What belongs to each context, in the axes that contexts came in."""
        batch = found[0][1] if found else (0,)
        parts = [part for part, _ in found] or [np.empty((0, *shape))]
        return np.concatenate(parts).reshape(*batch, *shape)

    def _framed(self, x: Array, context: Any, frame: FrameName | None, per_context: bool) -> Any:
        if per_context:
            if frame is not None:
                raise ValueError("frame is for samples in rows, with per_context they have one axis more")
            return x
        names = self.columns or [str(i) for i in range(self.dim)]
        if frame is not None:
            return _columns.frame(frame, x.reshape(len(x), -1), names)
        return _columns.like(context, x, names) if _columns.is_frame(context) and x.ndim == 2 else x

    def _names(self, x: object, context: object) -> train.Names:
        """What columns of data frames must be called; what these are called where the flow knows no names."""
        of_x, of_context = labels(x, self.dim), labels(context, self.context_dim)
        return (of_x and (self.columns or of_x), of_context and (self.context_columns or of_context))

    def _source(
        self, x: object, context: object, weights: object, names: train.Names, of: str = ""
    ) -> tuple[_rows.Rows, train.Names]:
        """Rows that are read when they are needed, and the names of their columns."""
        expected = names[0] or self.columns, names[1] or self.context_columns
        rows, (of_x, of_context) = _rows.source(
            x, context, weights, (self.dim, self.context_dim), self.dtype, expected, of, self._image,
            Cells(self.columns or ()),
        )  # fmt: skip
        return rows, (names[0] or of_x, names[1] or of_context)

    def _log_prob_by_the_piece(self, x: Any, context: Any, out: Any) -> Any:
        dtype = self.dtype
        stored = _rows.stored(x, self.dim, "x", dtype, self.columns, self._image)
        given = None
        if context is not None or self.context_dim:
            given = _rows.stored_context(context, self.context_dim, len(stored), dtype, self.context_columns)
        if out is None:
            out = np.empty(len(stored), dtype)
        elif tuple(out.shape) != (len(stored),):
            raise ShapeError(f"out has shape {tuple(out.shape)}, expected ({len(stored)},)")
        for first, count in _rows.pieces(len(stored), self.dim + self.context_dim, dtype):
            part = given.read(first, count) if given else None
            out[first : first + count] = self.log_prob(stored.read(first, count), part)
        return out

    def _sample_to_npy(self, path: Path, n: int, context: Any, temperature: float, seed: int, first_row: int) -> None:
        dtype = self.dtype
        given = None
        if context is not None or self.context_dim:
            given = _rows.stored_context(context, self.context_dim, n, dtype, self.context_columns)
        temporary = f"{os.fsdecode(path)}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
        try:
            with open(temporary, "xb") as file:
                shape = (n, *self.shape)
                header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for first, count in _rows.pieces(n, self.dim, dtype):
                    part = given.read(first, count) if given else None
                    number = (first_row + first) % 2**64
                    x = self.sample(count, part, temperature=temperature, seed=seed, first_row=number)
                    file.write(x.tobytes())
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise

    def _stored(self, key: str) -> tuple[Column, ...] | None:
        if self._read[0] is not self._handle:
            text, known = self.metadata, {}
            for each, count in (_COLUMNS, self.dim), (_CONTEXT_COLUMNS, self.context_dim):
                found = _columns.loaded(text[each]) if each in text else None
                wide = each == _CONTEXT_COLUMNS and found is not None and _columns.widened(found, count)
                known[each] = found if wide or len(found or ()) == count else None
            self._read = self._handle, known
        return self._read[1].get(key)

    def _store(self, key: str, columns: tuple[str, ...] | None) -> None:
        """Names of columns, but for those that are too long for metadata."""
        text = _columns.dumped(columns or ())
        if columns and len(text.encode()) <= _LONGEST and "\0" not in text:
            self.metadata[key] = text
        elif columns is None and key in self.metadata:
            del self.metadata[key]

    def _remember(self, of: train.Names) -> None:
        for key, names in zip((_COLUMNS, _CONTEXT_COLUMNS), of, strict=True):
            if names:
                self._store(key, names)

    def _evaluate(self, name: str, data: Rows, given: Rows | None, *outputs: Array | None) -> None:
        function = typed(f"diffeo_flow_{name}", data.dtype)
        function(self._handle, data.array, len(data), *pointer_and_count(given), workspace(), *outputs)

    def _map(self, direction: str, x: npt.ArrayLike, context: npt.ArrayLike | None, name: str) -> tuple[Array, Array]:
        to_data = direction == "from_noise"
        data, given = self._inputs(x, context, name, of_data=not to_data)
        mapped, log_det = np.empty_like(data.array), np.empty(len(data), data.dtype)
        self._evaluate(direction, data, given, mapped, log_det)
        return self._as_given(x, mapped, data, of_data=to_data), _shaped(log_det, data.batch)

    def _cotangents(
        self, data: Rows, of_rows: npt.ArrayLike | None, name: str, of_log_det: npt.ArrayLike | None
    ) -> tuple[Array | None, Array | None]:
        return (
            _vjp.cotangent(of_rows, data.array.shape, data.dtype, name, self._image),
            _vjp.cotangent(of_log_det, (len(data),), data.dtype, "g_log_det"),
        )

    def _pulled_back(
        self, function: str, data: Rows, given: Rows | None, cotangents: tuple[Array | None, ...], of: Collection[Of]
    ) -> Gradients:
        before = (data.array, len(data))
        shape = (len(data), *(data.event or (self.dim,)))
        return _vjp.pulled_back(self, function, before, len(data), given, data.dtype, cotangents, of, rows=shape)

    def _sample(
        self,
        n: SupportsIndex,
        context: npt.ArrayLike | None,
        temperature: float,
        seed: SupportsIndex | None,
        first_row: SupportsIndex,
        want_log_prob: bool,
        per_context: bool = False,
    ) -> tuple[Array, Array]:
        count, dtype = integer(n, "n", 0), self.dtype
        if per_context:
            each = self._context(context)
            many = Rows(_conditional.repeated(each, count), (), ())
            x, log_prob = (
                self._sample(len(many), many.array, temperature, seed, first_row, want_log_prob)
                if len(many)
                else (np.empty((0, *self.shape), dtype), np.empty(0, dtype))
            )
            shape = (len(each), count)
            return x.reshape(*shape, *self.shape), log_prob.reshape(shape) if want_log_prob else log_prob
        names = self._names(None, context)[1]
        context = _columns.encoded(context, self.context_columns, self.context_dim, "context")
        given = context_rows(context, self.context_dim, count, dtype, "the sample", names=names)
        number = secrets.randbits(64) if seed is None else seed64(seed)
        first = integer(first_row, "first_row", 0, 2**64 - 1)
        x, log_prob = np.empty((count, *self.shape), dtype), np.empty(count if want_log_prob else 0, dtype)
        typed("diffeo_flow_sample_tempered", dtype)(
            self._handle,
            real(temperature, "temperature"),
            number,
            first,
            count,
            *pointer_and_count(given),
            workspace(),
            x,
            log_prob if want_log_prob else None,
        )
        return _columns.as_data(x, self.columns), log_prob


class Metadata(MutableMapping[str, str]):
    """The metadata of a flow as a mapping, in the order of the keys."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def __getitem__(self, key: str) -> str:
        try:
            return _abi.read_text(lib.diffeo_flow_metadata, self._flow._handle, _utf8(key, "key"))
        except InvalidArgumentError:
            raise KeyError(key) from None

    def __setitem__(self, key: str, value: str) -> None:
        lib.diffeo_flow_set_metadata(self._flow._handle, _utf8(key, "key"), _utf8(value, "value"))
        self._flow._read = None, {}

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        lib.diffeo_flow_set_metadata(self._flow._handle, _utf8(key, "key"), None)
        self._flow._read = None, {}

    def __iter__(self) -> Iterator[str]:
        keys = [_abi.read_text(lib.diffeo_flow_metadata_key, self._flow._handle, index) for index in range(len(self))]
        return iter(keys)

    def __len__(self) -> int:
        return int(lib.diffeo_flow_metadata_count(self._flow._handle))

    def __repr__(self) -> str:
        return repr(dict(self))


def compose(first: Flow, then: Flow) -> Flow:
    """Return two flows as one: data goes through the layers of `first`, then those of `then`, and ends at its base.

    Parameters
    ----------
    first, then : Flow
        Of the same dim and dtype. Where both have a context it is the same, standardised and embedded alike; one that
        has none ignores that of the other.

    Returns
    -------
    Flow
        Its events have the shape of `first`; metadata are those of both, of `first` where both have a key.

    Raises
    ------
    ValueError
        If the two do not fit together.
    """
    return Flow(_abi.create(_abi.Flow, lib.diffeo_flow_compose, first._handle, then._handle))


def load(path: Path | Readable | bytes | bytearray | memoryview) -> Flow:
    """Load a flow from a file of `Flow.save`; it is checked against the self-test stored inside.

    Parameters
    ----------
    path : str, os.PathLike, binary file object or bytes
        An object with a method `read` that gives bytes is read to its end. Bytes are those of a file, and no path.

    Raises
    ------
    OSError
        If the file cannot be read; FileNotFoundError if it is missing.
    ValueError
        If it is not a valid weight file, or from a newer, incompatible version.
    """
    if isinstance(path, Readable):
        image = path.read()
        if isinstance(image, str):
            raise TypeError("the file gives text, not bytes: open it in binary mode, 'rb'")
        return from_bytes(image)
    if isinstance(path, bytes | bytearray | memoryview):
        return from_bytes(path)
    target = encoded(path)
    with missing_is(path, path):
        return Flow(_abi.create(_abi.Flow, lib.diffeo_flow_load, target))


def from_bytes(image: bytes | bytearray | memoryview) -> Flow:
    """Return the flow whose `Flow.to_bytes` gave these bytes.

    Examples
    --------
    >>> flow = diffeo.maf(dim=2)
    >>> diffeo.from_bytes(flow.to_bytes()).dim
    2
    """
    content = bytes(image)
    return Flow(_abi.create(_abi.Flow, lib.diffeo_flow_load_memory, content, len(content)))


def _between(a: Array, b: Array, steps: int, spherical: bool) -> Array:
    """From rows a [n, dim] to rows b: [n, steps, dim], float64."""
    a, b = (ends.astype(np.float64)[:, None] for ends in (a, b))
    t = np.linspace(0, 1, steps)[:, None]
    if not spherical:
        return a + t * (b - a)
    norms = np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
    cosine = (a * b).sum(axis=-1, keepdims=True) / np.where(norms > 0, norms, 1)
    angle = np.arccos(np.clip(cosine, -1, 1))
    # Where the two are on one line there is no circle.
    straight = np.sin(angle) < 1e-6
    sine = np.where(straight, 1, np.sin(angle))
    arc = np.sin((1 - t) * angle) / sine * a + np.sin(t * angle) / sine * b
    return np.where(straight, a + t * (b - a), arc)


def _shaped(values: Array, shape: tuple[int, ...]) -> Array:
    """The values in this shape; a number for ()."""
    shaped: Array = values.reshape(shape)[()]
    return shaped


def _utf8(text: str, name: str) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"a {name} of metadata must be a str, not {type(text).__name__}")
    if "\0" in text:
        raise ValueError(f"a {name} of metadata must not have a null character: {text!r}")
    return text.encode()
