"""Training by maximum likelihood: the trainer, what it reports, and the loop over it that is `Flow.fit`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from copy import copy
from ctypes import byref, sizeof
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Protocol, SupportsIndex, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from . import _abi, _checks, _training
from ._abi import Array, lib, typed
from ._arrays import Image, by_row, choice, integer, pointer_and_count, real, vector
from ._arrays import Rows as Batch
from ._columns import Cells, Column, by_name
from ._files import Path
from ._progress import describe, display, epochs
from ._rows import Rows, is_counts, is_lazy
from ._signals import StopSignals
from ._training import BEGAN_WITH, STATE_NAMES, Recorded, Schedule, Training, set_optimizer
from ._words import Judge, Optimizer

# Of the columns of x and of the context, where data frames or the flow have some.
Names: TypeAlias = tuple[tuple[str, ...] | None, tuple[str, ...] | None]
Validation: TypeAlias = (
    float
    | npt.ArrayLike
    | tuple[npt.ArrayLike, npt.ArrayLike | None]
    | tuple[npt.ArrayLike, npt.ArrayLike | None, npt.ArrayLike | None]
    | None
)


class Trainable(_training.Trainable, Protocol):
    """What a trainer on rows needs of a `Flow`."""

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def columns(self) -> tuple[Column, ...] | None: ...

    @property
    def context_columns(self) -> tuple[Column, ...] | None: ...

    @property
    def context_dim(self) -> int: ...

    @property
    def levels(self) -> tuple[int | None, ...]: ...

    @property
    def _image(self) -> Image: ...

    def _inputs(
        self,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None,
        name: str = "x",
        context_name: str = "context",
        names: Names | None = None,
        many: bool = False,
        *,
        in_training: bool = False,
    ) -> tuple[Batch, Batch | None]: ...

    def _source(
        self, x: object, context: object, weights: object, names: Names, of: str = ""
    ) -> tuple[Rows, Names]: ...

    def _names(self, x: object, context: object) -> Names: ...

    def _remember(self, of: Names) -> None: ...


F = TypeVar("F", bound=Trainable)


@dataclass(frozen=True, slots=True)
class Report:
    """How training stands; log-likelihoods are means over rows, weighted ones where rows have weights, in nats.

    Attributes
    ----------
    epoch : int
        Complete epochs.
    batch, batches_per_epoch : int
        Steps done in the present epoch, and in a whole one.
    train_rows, validation_rows : int
        Rows trained on, and rows held out.
    effective_rows : float
        The square of the sum of the weights of the rows trained on, over the sum of their squares [1]_.
    train_log_prob : float
        Over the latest epoch so far, as seen while training.
    train_robust_log_prob : float
        Without the worst thousandth of the rows, one at least.
    validation_log_prob, validation_robust_log_prob : float
        After the epoch, of the weights or, where that is better by `judge`, of their average (see `ema_decay`); NaN
        without validation rows.
    worst_log_prob : float
        The lowest of a row of the latest epoch.
    worst_row : int
        The number of that row in x.
    best_log_prob : float
        The best validation value so far, by what `judge` says; without validation, of training.
    best_epoch : int
        The epoch it was reached in.
    averaged : bool
        Whether the best weights are a moving average (see `ema_decay`).
    gradient_norm : float
        Of the latest step, before clipping.
    learning_rate : float
        Of the latest step.
    base_learning_rate : float
        Which the schedule multiplies.
    rows_per_second : float
        In the latest epoch, validation included.
    seconds, seconds_left : float
        Spent so far, and to `max_epochs` at this speed.
    steps : int
        In all.
    skipped_steps : int
        Of them left out because the gradient was not finite.
    cut_steps : int
        Of them whose gradient was clipped.
    state : {"running", "epoch_end", "max_epochs", "patience", "cancelled"}
        In the middle of an epoch; at the end of one, with more to come; or why training has ended.

    References
    ----------
    .. [1] Kish, "Survey sampling", 1965.
    """

    epoch: int
    batch: int
    batches_per_epoch: int
    train_rows: int
    validation_rows: int
    effective_rows: float
    train_log_prob: float
    train_robust_log_prob: float
    validation_log_prob: float
    validation_robust_log_prob: float
    worst_log_prob: float
    worst_row: int
    best_log_prob: float
    best_epoch: int
    averaged: bool
    gradient_norm: float
    learning_rate: float
    base_learning_rate: float
    rows_per_second: float
    seconds: float
    seconds_left: float
    steps: int
    skipped_steps: int
    cut_steps: int
    state: str


@dataclass
class History(Recorded):
    """What happened in a training run: lists with one entry for each complete epoch, and the outcome.

    Attributes
    ----------
    epoch : list of int
        1, 2, 3, ...
    train_log_prob, validation_log_prob : list of float
        Mean log-likelihood of a row, in nats: over the epoch while training, and after it on the rows held out (NaN
        without them), of the weights or their average, see `ema_decay`.
    train_robust_log_prob, validation_robust_log_prob : list of float
        Without the worst thousandth of the rows, one at least.
    learning_rate : list of float
        Of the last step of the epoch.
    seconds : list of float
        Since the training began.
    steps, skipped_steps, cut_steps : int
        In all; left out because the gradient was not finite; with a clipped gradient.
    best_epoch : int
        The epoch whose weights the flow has now; 0 for the weights it began with.
    best_log_prob : float
        The validation (without it: training) value of that epoch.
    stopped : {"max_epochs", "patience", "cancelled", "signal"}
        Why the training ended: it ran its course; there was no better epoch for long; `on_progress` said so; one of the
        `stop_signals` came.
    """

    epoch: list[int] = field(default_factory=list)
    train_log_prob: list[float] = field(default_factory=list)
    train_robust_log_prob: list[float] = field(default_factory=list)
    validation_log_prob: list[float] = field(default_factory=list)
    validation_robust_log_prob: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    steps: int = 0
    skipped_steps: int = 0
    cut_steps: int = 0
    best_epoch: int = 0
    best_log_prob: float = float("nan")
    stopped: str = ""

    def __len__(self) -> int:
        return len(self.epoch)

    def __str__(self) -> str:
        seconds = self.seconds[-1] if self.seconds else 0.0
        skipped = f", {self.skipped_steps} steps skipped" if self.skipped_steps else ""
        known = self.best_log_prob == self.best_log_prob
        best = f"best epoch {self.best_epoch}: {self.best_log_prob:.4f} nats a row" if known else BEGAN_WITH
        return (
            f"{len(self)} epoch{'' if len(self) == 1 else 's'} in {seconds:.1f} s, stopped by {self.stopped}; "
            f"{best}{skipped}"
        )


class Trainer(Training[F, Report]):
    """A training of a flow by maximum likelihood, step by step; `Flow.fit` is a loop over one.

    It begins with the weights of the flow, which it does not change, and has its own copy of the rows. The same data,
    options and seed give the same weights, bit for bit, for any number of threads. Iterating runs to the end and gives
    a `Report` after every epoch. Used by one thread at a time, but for `cancel`.

    Parameters
    ----------
    flow : Flow
    x : array_like, [n, dim]; of images [n, channels, height, width], or [n, height, width] of one channel
        Or what need not fit into memory: see Notes.
    context : array_like, [n, context_dim] or [context_dim], optional
        Required where the flow has a context.
    weights : array_like, [n], optional
        Of the rows, such as importance weights; only their ratios matter. Likelihoods are weighted means then, those of
        validation too, and so are the statistics of layers that are set from the data; batch normalisation is not.
    validation : float, array_like or tuple
        The fraction of rows to hold out, drawn with the seed, 0 up to 1; or the rows themselves, as ``x_val``,
        ``(x_val, context_val)`` or ``(x_val, context_val, weights_val)``. With 0 the best weights are those best on
        training rows.
    judge : {"mean", "robust"}
        What best means, for early stopping too: the mean log-likelihood, or that without the worst thousandth of rows.
    batch_size : int
        Rows a step. Memory does not grow with it: a large one is what is called accumulated gradients elsewhere.
    max_epochs : int
        Passes over the data at most. 0 only sets the layers that are set from data.
    patience : int
        Stop after so many epochs without a better `best_log_prob`; 0: never.
    lr : float
        Learning rate.
    optimizer : {"adam", "sgd"}
        Adam [1]_, or stochastic gradient descent with momentum.
    schedule : {"constant", "cosine", "exponential", "plateau"} or callable
        What the rate is multiplied by: 1; from 1 to 0 at `max_epochs`; `rate_decay` after every epoch, or after
        `plateau_patience` epochs without better ones; or ``schedule(step, steps)`` for the steps 0, 1, 2, ..., of which
        there are as many in `max_epochs`.
    warmup_steps : int
        Steps in which the rate rises in a line to the schedule's.
    rate_decay, plateau_patience : float, int
        See `schedule`.
    betas : tuple of float
        Of Adam.
    momentum : float
        Of SGD.
    weight_decay : float
        Decoupled weight decay [2]_ on weight matrices (with Adam: AdamW).
    l2 : float
        A penalty of ``l2 |w|**2 / 2`` on weight matrices, as a part of the gradient.
    clip_quantile : float
        The norm of the gradient is cut to this quantile of its latest 256 values [3]_; 0: not.
    clip_norm : float
        ... and to this; 0: not.
    ema_decay : float
        Of an exponential moving average of the weights, which after each epoch is judged beside them: the better of the
        two is what the epoch gives, and what its validation is reported of. Without validation rows the average takes
        their place. 0: none.
    x_noise : float
        Normal noise added to x in training, new in each epoch, in standard deviations of the column.
    image_flip : bool
        Mirror half of the images, left to right, new in each epoch.
    image_shift : int
        Move images by up to so many places up, down, left and right, new in each epoch, with the numbers of their
        borders behind them.
    negative_weights : bool
        Allow weights below 0: the likelihood of such rows is made small.
    rows_memory : int
        Bytes that rows may take in memory where they are read when they are needed; see Notes.
    seed : int
        Of the split, of the shuffling and of the noise.
    threads : int, optional
        1 to 256; by default `diffeo.get_num_threads`.

    Notes
    -----
    **Data larger than memory.** ``x``, ``context``, ``weights`` and those of the validation may be memory maps
    (``np.load(path, mmap_mode="r")``), data sets of h5py, arrays of zarr or variables of netCDF4; a data set of
    records, or a mapping or a list of 1-D data sets, has its columns, and the flow remembers their names. Where
    `rows_memory` holds all rows, training is what it is with arrays, bit for bit. Else an epoch takes blocks of rows in
    a random order, some 32 of which are shuffled together, while a thread reads the next. Warnings are for arrays in
    memory only. What is read must stay the same: a block that
    has changed ends the training with an OSError, and an exception of the array itself comes as it is. ``x`` may also
    be an iterator of arrays, or of tuples (x, context) or (x, context, weights) of them, which is written to
    temporary files first (in ``TMPDIR``; they go with the trainer). Images in an array of whole numbers, such as uint8,
    are read in this way, too: no copy of them in floating point is larger than `rows_memory`.

    Raises
    ------
    ArithmeticError
        For a NaN or an infinity in the data (with its row and column), for a column that is constant where it would be
        standardised, for weights that are negative or have no sum above 0.
    ValueError
        For wrong shapes and options.

    Warns
    -----
    TrainingWarning
        For columns of x that are constant or have a value in 5 % of their rows, unless they get noise in training; for
        columns of x and of the context that are so far from 0 that the dtype of the flow cannot tell their values
        apart, or of which a few rows rule the standard deviation they are divided by. Of large data a sample is looked
        at, but for outliers. ``warnings.filterwarnings("ignore", category=diffeo.TrainingWarning)`` says you know.

    References
    ----------
    .. [1] Kingma, Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    .. [2] Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019.
    .. [3] Seetharaman, Wichern, Pardo, Le Roux, "AutoClip: adaptive gradient clipping for source separation networks",
       MLSP 2020.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(3.0, 2.0, size=(1000, 2))
    >>> trainer = diffeo.Trainer(diffeo.maf(dim=2, transforms=2, hidden=(16,)), x, max_epochs=3)
    >>> for report in trainer:
    ...     if report.skipped_steps:
    ...         break
    >>> trainer.report.epoch, trainer.report.state
    (3, 'max_epochs')
    >>> trainer.best.log_prob(x).shape
    (1000,)
    """

    _C_NAME = "trainer"

    def __init__(
        self,
        flow: F,
        x: npt.ArrayLike,
        context: npt.ArrayLike | None = None,
        *,
        weights: npt.ArrayLike | None = None,
        validation: Validation = 0.1,
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
    ) -> None:
        Cells(flow.columns or ()).check_levels(flow.levels)
        names, lazy = flow._names(x, context), None
        counts = flow._image is not None and is_counts(x) and not any(names)
        if counts or any(map(is_lazy, (x, context, weights))):
            lazy, names = flow._source(x, context, weights, names)
        if any(names):
            flow = copy(flow)
            flow._remember(names)
        fraction, held_out = 0.0, None
        if validation is None or isinstance(validation, Real):
            fraction = float(validation or 0.0)
        else:
            held_out = _parts(validation)
        options = _abi.defaults(_abi.TrainOptions, lib.diffeo_train_options_init)
        options.validation_fraction = real(fraction, "validation")
        options.judge = choice(judge, _abi.JUDGES, "judge")
        options.batch_size = integer(batch_size, "batch_size", 1)
        options.max_epochs = integer(max_epochs, "max_epochs", 0)
        options.patience = integer(patience, "patience", 0)
        set_optimizer(
            options, lr=lr, optimizer=optimizer, schedule=schedule, warmup_steps=warmup_steps, rate_decay=rate_decay,
            plateau_patience=plateau_patience, betas=betas, momentum=momentum, weight_decay=weight_decay, l2=l2,
            clip_quantile=clip_quantile, clip_norm=clip_norm, ema_decay=ema_decay, seed=seed, threads=threads,
        )  # fmt: skip
        options.x_noise = real(x_noise, "x_noise")
        options.image_flip = bool(image_flip)
        options.image_shift = integer(image_shift, "image_shift", 0)
        options.negative_weights = bool(negative_weights)
        options.rows_memory = integer(rows_memory, "rows_memory", 0)

        super().__init__(flow, lr, schedule, _abi.TrainReport(struct_size=sizeof(_abi.TrainReport)))
        self._max_epochs = int(options.max_epochs)
        self._names = names
        self._rows = [lazy] if lazy else []  # that are read when they are needed
        if lazy:
            with lazy.reading(), self._by_name():
                self._handle = _abi.create(
                    _abi.Trainer, lib.diffeo_trainer_create_rows, flow._handle, byref(options), lazy.handle
                )
            if counts:
                part = _checks.Part("x", x, by_row(cast(Any, x)), flow.columns, None)
                _checks.check(str(flow), flow.dtype, part, None, noise=options.x_noise > 0, levels=flow.levels)
        else:
            data, given = flow._inputs(x, context, names=names, many=True, in_training=True)
            given_weights = _weights(weights, data, "weights")
            with self._by_name():
                self._handle = _abi.create(
                    _abi.Trainer,
                    typed("diffeo_trainer_create", data.dtype),
                    flow._handle,
                    byref(options),
                    data.array,
                    len(data),
                    *pointer_and_count(given),
                    given_weights,
                )
            # What the library gets, where that is something else: words of categories are numbers there.
            written = data.array if any(column.discrete for column in flow.columns or ()) else x
            encoded = given and any(column.width > 1 for column in flow.context_columns or ())
            _checks.check(
                str(flow),
                flow.dtype,
                _checks.Part("x", written, data, names[0] or flow.columns, given_weights),
                _checks.Part("context", given.array if encoded else cast(Any, context), given, names[1], given_weights)
                if given
                else None,
                noise=options.x_noise > 0,
                levels=flow.levels,
            )
        if held_out:
            self._hold_out(*held_out)
        self._look()

    def _hold_out(self, x: Any, context: Any, weights: Any) -> None:
        counts = self._flow._image is not None and is_counts(x) and not any(self._names)
        if counts or any(map(is_lazy, (x, context, weights))):
            rows, _ = self._flow._source(x, context, weights, self._names, "validation ")
            self._rows.append(rows)
            with rows.reading(), self._by_name():
                lib.diffeo_trainer_set_validation_rows(self._handle, rows.handle)
            return
        data, given = self._flow._inputs(
            x, context, "validation x", "validation context", self._names, many=True, in_training=True
        )
        set_validation = typed("diffeo_trainer_set_validation", data.dtype)
        given_weights = _weights(weights, data, "validation weights")
        with self._by_name():
            set_validation(self._handle, data.array, len(data), *pointer_and_count(given), given_weights)

    def _by_name(self) -> AbstractContextManager[None]:
        flow = self._flow
        return by_name(flow.columns, flow.context_columns, flow.context_dim)

    @property
    def report(self) -> Report:
        """How training stands."""
        values = {name.name: getattr(self._now, name.name) for name in fields(Report)}
        return Report(**values | {"averaged": bool(self._now.averaged), "state": STATE_NAMES[self._now.state]})

    def _steps(self) -> tuple[int, int]:
        return self._now.batches_per_epoch, self._max_epochs * self._now.batches_per_epoch

    def _epochs(self) -> int:
        return int(self._now.epoch)

    def _reading(self) -> Iterable[AbstractContextManager[None]]:
        return [self._by_name(), *(rows.reading() for rows in self._rows)]


def _parts(validation: Any) -> tuple[Any, Any, Any]:
    parts = validation if isinstance(validation, tuple) else (validation,)
    if not 1 <= len(parts) <= 3:
        raise ValueError(f"validation has {len(parts)} parts, it must be x, (x, context) or (x, context, weights)")
    return (*parts, None, None)[:3]


def _weights(weights: npt.ArrayLike | None, data: Batch, name: str) -> Array | None:
    """Of the rows, in their type."""
    if weights is None:
        return None
    return np.require(vector(weights, len(data), name, data.dtype), data.dtype, ["C_CONTIGUOUS", "ALIGNED"])


def run(
    flow: F,
    trainer: Trainer[F],
    *,
    progress: bool | float,
    on_progress: Callable[[Trainer[F]], object] | None,
    checkpoint: Path | None,
    every: int,
    stop: StopSignals,
) -> History:
    """Train to the end, on rows."""
    wanted, watch = trainer._max_epochs, _checks.Watch()

    def line(report: _abi.TrainReport, within: bool = False) -> str:
        return describe(report, wanted, within)

    shown = display(progress, wanted, line, epochs, lambda report: line(report, within=True))
    history = _training.run(
        flow, trainer, History(), shown, line, on_progress=on_progress, checkpoint=checkpoint, every=every, stop=stop,
        watch=watch.epoch,
    )  # fmt: skip
    watch.end(history)
    return history
