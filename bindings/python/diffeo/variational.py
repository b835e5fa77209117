"""Training to a density that can be evaluated, in place of data: variational inference.

`Flow.fit_target` is a loop over a `TargetTrainer`, as `Flow.fit` is one over a `Trainer`.
"""

from __future__ import annotations

from _ctypes import CFuncPtr  # the class of all functions of C
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from ctypes import byref, c_void_p, cast, memmove, pointer, sizeof
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, SupportsIndex, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from . import _abi, _training
from ._abi import Array, lib, typed
from ._arrays import Rows, choice, integer, pointer_and_count, real, real_array, rows
from ._files import Path
from ._progress import display, skipped, time_left
from ._signals import StopSignals
from ._training import BEGAN_WITH, STATE_NAMES, Recorded, Schedule, Training, set_optimizer
from ._words import Estimator, Optimizer
from .errors import CancelledError, ShapeError

Target: TypeAlias = Callable[..., Any]


class Trainable(_training.Trainable, Protocol):
    """What a trainer to a target needs of a `Flow`."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def context_dim(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...


F = TypeVar("F", bound=Trainable)


@dataclass(frozen=True, slots=True)
class TargetReport:
    """How training to a target stands; w is p(x) / q(x) of a sample x of the flow q, in nats where it is a logarithm.

    Attributes
    ----------
    steps, total_steps : int
        Done, and in all.
    windows : int
        Complete ones: so many steps whose mean bound tells which weights are best.
    elbo, elbo_error : float
        Evidence lower bound, the mean log w of the samples of the latest window so far, and its standard error.
    bound : float
        What training makes as large as it can: the mean over the window of the log of the mean w of 1 sample, of
        `draws` samples, or, mass covering, of a batch.
    best_bound : float
        Of the best window so far.
    best_window : int
        Its number from 1 on; 0: the weights it began with.
    log_evidence : float
        Of the latest complete window: log of the mean w, an estimate of the log of the integral of p.
    effective_samples : float
        ... (sum of w)^2 / sum of w^2 [1]_.
    pareto_k : float
        ... how heavy the tail of w is [2]_: above 0.7 `log_evidence` is not to be trusted.
    inverse_temperature : float
        Of the latest step: the power of p.
    gradient_norm : float
        Of the latest step, before clipping.
    learning_rate, base_learning_rate : float
        Of the latest step, and what the schedule multiplies.
    samples_per_second : float
        In the latest window.
    seconds, seconds_left : float
        Spent so far, the target included, and to the last step at this speed.
    skipped_steps : int
        Left out because the target or the gradient was not finite.
    cut_steps : int
        With a clipped gradient.
    averaged : bool
        Whether the best weights are a moving average (see `ema_decay`).
    state : {"running", "epoch_end", "max_epochs", "patience", "cancelled"}
        In a window; at the end of one, with more to come; or why training has ended.

    References
    ----------
    .. [1] Kong, "A note on importance sampling using standardized weights", University of Chicago, 1992.
    .. [2] Vehtari, Simpson, Gelman, Yao, Gabry, "Pareto smoothed importance sampling", JMLR 2024.
    """

    steps: int
    total_steps: int
    windows: int
    elbo: float
    elbo_error: float
    bound: float
    best_bound: float
    best_window: int
    log_evidence: float
    effective_samples: float
    pareto_k: float
    inverse_temperature: float
    gradient_norm: float
    learning_rate: float
    base_learning_rate: float
    samples_per_second: float
    seconds: float
    seconds_left: float
    skipped_steps: int
    cut_steps: int
    averaged: bool
    state: str


@dataclass
class TargetHistory(Recorded):
    """What happened in a training to a target: lists with one entry for each window, and the outcome.

    Attributes
    ----------
    steps : list of int
        At the ends of the windows.
    elbo, elbo_error, bound, log_evidence, effective_samples, pareto_k, learning_rate, seconds : list of float
        As in `TargetReport`, of each window.
    skipped_steps, cut_steps : int
        In all.
    best_window : int
        The window whose end the flow has its weights of; 0: those it began with.
    best_bound : float
        Its bound.
    stopped : {"max_epochs", "patience", "cancelled", "signal"}
        Why the training ended: it ran its course; there was no better window for long; `on_progress` said so; one of
        the `stop_signals` came.
    """

    steps: list[int] = field(default_factory=list)
    elbo: list[float] = field(default_factory=list)
    elbo_error: list[float] = field(default_factory=list)
    bound: list[float] = field(default_factory=list)
    log_evidence: list[float] = field(default_factory=list)
    effective_samples: list[float] = field(default_factory=list)
    pareto_k: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    skipped_steps: int = 0
    cut_steps: int = 0
    best_window: int = 0
    best_bound: float = float("nan")
    stopped: str = ""

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        steps, seconds = (self.steps[-1], self.seconds[-1]) if self.steps else (0, 0.0)
        skipped = f", {self.skipped_steps} steps skipped" if self.skipped_steps else ""
        last = f"; last window: ELBO {self.elbo[-1]:.4f}, k-hat {self.pareto_k[-1]:.2f}" if self.steps else ""
        known = self.best_bound == self.best_bound
        best = f"best window {self.best_window}: {self.best_bound:.4f} nats" if known else BEGAN_WITH
        return f"{steps} steps in {seconds:.1f} s, stopped by {self.stopped}; {best}{last}{skipped}"


class TargetTrainer(Training[F, TargetReport]):
    """A training of a flow q to a density p that can be evaluated, step by step; `Flow.fit_target` is a loop over one.

    It begins with the weights of the flow, which it does not change. Layers that are set from data and are not yet
    become the identity. The same options, seed and numbers of the target give the same weights, bit for bit, for any
    number of threads. Iterating runs to the end and gives a `TargetReport` after every window.

    Parameters
    ----------
    flow : Flow
        Without batch normalisation.
    target : callable
        ``target(x)``, or ``target(x, context)`` where the flow has a context, of an array [n, dim], or [n, channels,
        height, width], in the dtype of the flow: log p of each row, up to a constant, [n], and its gradient, in the
        shape of x. Mass covering asks for no gradient: there log p alone will do. -inf is outside of p.
        `diffeo.targets` makes one of a function of PyTorch or JAX, or of a Stan model.
    context : array_like, [n, context_dim], optional
        Rows that samples are drawn given, in turns: amortised inference. Required where the flow has a context.
    steps : int
        Rounded up to whole windows.
    batch_size : int
        Samples a step.
    window : int
        Steps whose mean bound tells which weights are best.
    patience : int
        Stop after so many windows without a better `best_bound`; 0: never.
    estimator : {"path", "reverse_kl", "importance", "mass_covering"}
        The reverse KL, by its reparameterised gradient without the part whose mean is 0 [1]_, or with it [2]_; the
        importance-weighted bound of `draws` samples [3]_; or the likelihood of samples that are weighted by w,
        normalised in each batch [4]_, which covers all modes that samples reach, where the others prefer one.
    draws : int
        Of "importance"; `batch_size` is a multiple of it.
    tempering : float
        Above 0, at most 1. The target is p^b, where b rises from this to 1 in `tempering_steps`, by the same factor in
        each: modes are found while the way between them is low.
    tempering_steps : int
        See `tempering`.
    lr, optimizer, schedule, warmup_steps, rate_decay, plateau_patience, betas, momentum, weight_decay, l2, \
            clip_quantile, clip_norm, ema_decay, seed, threads
        As in `Trainer`; what is an epoch there is a window here.

    Raises
    ------
    NotImplementedError
        For a flow with batch normalisation, or without derivatives of its samples (see `Flow.sample_vjp`).
    ValueError
        For wrong shapes and options.

    References
    ----------
    .. [1] Roeder, Wu, Duvenaud, "Sticking the landing", NIPS 2017.
    .. [2] Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015.
    .. [3] Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", ICLR 2016.
    .. [4] Bornschein, Bengio, "Reweighted wake-sleep", ICLR 2015.

    Examples
    --------
    >>> def target(x):
    ...     return -0.5 * ((x - 3.0) ** 2).sum(1), 3.0 - x
    >>> trainer = diffeo.TargetTrainer(diffeo.maf(dim=2, transforms=2, hidden=(8,)), target, steps=20, window=10)
    >>> [report.steps for report in trainer]
    [10, 20]
    >>> trainer.best.sample(5, seed=1).shape
    (5, 2)
    """

    _C_NAME = "vi"

    def __init__(
        self,
        flow: F,
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
    ) -> None:
        train = _abi.defaults(_abi.TrainOptions, lib.diffeo_train_options_init)
        set_optimizer(
            train, lr=lr, optimizer=optimizer, schedule=schedule, warmup_steps=warmup_steps, rate_decay=rate_decay,
            plateau_patience=plateau_patience, betas=betas, momentum=momentum, weight_decay=weight_decay, l2=l2,
            clip_quantile=clip_quantile, clip_norm=clip_norm, ema_decay=ema_decay, seed=seed, threads=threads,
        )  # fmt: skip
        options = _abi.defaults(_abi.ViOptions, lib.diffeo_vi_options_init)
        options.steps = integer(steps, "steps", 0)
        options.batch_size = integer(batch_size, "batch_size", 1)
        options.window = integer(window, "window", 1)
        options.patience = integer(patience, "patience", 0)
        options.estimator = choice(estimator, _abi.ESTIMATORS, "estimator")
        options.draws = integer(draws, "draws", 1)
        options.tempering = real(tempering, "tempering")
        options.tempering_steps = integer(tempering_steps, "tempering_steps", 0)
        options.train = pointer(train)

        super().__init__(flow, lr, schedule, _abi.VariationalReport(struct_size=sizeof(_abi.VariationalReport)))
        self._window, self._batch_size = int(options.window), int(options.batch_size)
        given = _contexts(flow, context)
        self._call = _Call(target, flow.shape, flow.context_dim, flow.dtype)
        self._handle = _abi.create(
            _abi.Vi,
            typed("diffeo_vi_create", flow.dtype),
            flow._handle,
            byref(options),
            self._call.function,
            None,
            *pointer_and_count(given),
        )
        self._look()

    @property
    def report(self) -> TargetReport:
        """How training stands."""
        values = {name.name: getattr(self._now, name.name) for name in fields(TargetReport)}
        return TargetReport(**values | {"averaged": bool(self._now.averaged), "state": STATE_NAMES[self._now.state]})

    def step_given(self, context: npt.ArrayLike) -> tuple[TargetReport, Array]:
        """One step with contexts of its own in place of those of the trainer: amortised inference.

        Where an encoder of yours makes the contexts, it learns with the flow by their gradient (Kingma and Welling
        2014).

        Parameters
        ----------
        context
            [batch_size, context_dim], a row for each sample of the step, in its order: the target is called with them.

        Returns
        -------
        report
        gradient
            [batch_size, context_dim], of the step's mean bound, which is made larger, in the contexts, through the
            flow: what the target makes of them is its own affair. Without the part whose mean is 0 by the estimator
            "path". Zeros when the step is left out, or training is finished.
        """
        flow: Any = self._flow
        given = _contexts(flow, context)
        if given is None:
            raise ShapeError("this flow has no context")
        if given.array.shape != (self._batch_size, flow.context_dim):
            raise ShapeError(f"context has shape {given.array.shape}, expected {(self._batch_size, flow.context_dim)}")
        gradient = np.empty_like(given.array)
        self._set_scheduled_rate(int(self._now.total_steps))
        with self._call.raising():
            typed("diffeo_vi_step_given", flow.dtype)(self._handle, given.array, gradient, byref(self._now))
        return self.report, gradient

    def _steps(self) -> tuple[int, int]:
        return self._window, self._now.total_steps

    def _epochs(self) -> int:
        return int(self._now.windows)

    def _reading(self) -> Iterable[AbstractContextManager[None]]:
        return [self._call.raising()]


def _contexts(flow: Trainable, context: npt.ArrayLike | None) -> Rows | None:
    if flow.context_dim == 0:
        if context is not None:
            raise ShapeError("this flow has no context, but one was given")
        return None
    if context is None:
        raise ShapeError(f"this flow has a context of {flow.context_dim} columns: give rows of it")
    given = rows(context, flow.context_dim, flow.dtype, "context", "context_dim")
    return replace(given, array=np.require(given.array, flow.dtype, ["C_CONTIGUOUS", "ALIGNED"]))


class _Call:
    """A target as a function of C; what it raises is kept, and raised by the call that wanted it."""

    def __init__(self, target: Target, shape: tuple[int, ...], context_dim: int, dtype: np.dtype[Any]) -> None:
        self._failure: BaseException | None = None

        def call(_: Any, n: int, x: int, context: int, log_density: int, gradient: int) -> int:
            try:
                arguments = [_copied(x, (n, *shape), dtype)]
                if context_dim:
                    arguments.append(_copied(context, (n, context_dim), dtype))
                found = target(*arguments)
                log_p, slope = found if isinstance(found, tuple) else (found, None)
                _put(log_p, (n,), dtype, log_density, "log-density")
                if gradient:
                    if slope is None:
                        raise TypeError(
                            "the target must return its log-density and the gradient: a tuple of two arrays"
                        )
                    _put(slope, (n, *shape), dtype, gradient, "gradient")
            except BaseException as failure:
                self._failure = failure
                return 1
            return 0

        kind = _abi.TargetF32 if dtype == np.float32 else _abi.TargetF64
        self.function = _compiled(target, kind) or kind(call)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Around calls that may evaluate the target."""
        try:
            yield
        except CancelledError:
            failure, self._failure = self._failure, None
            if failure is None:
                raise
            raise failure from None


def _compiled(target: Target, kind: Any) -> Any:
    """A function of C as it is, None for one of Python."""
    function = getattr(target, "ctypes", target)
    return kind(cast(function, c_void_p).value) if isinstance(function, CFuncPtr) else None


def _copied(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """So that a target may keep it."""
    array: Array = np.empty(shape, dtype)
    memmove(array.ctypes.data, address, array.nbytes)
    return array


def _put(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any], address: int, name: str) -> None:
    with np.errstate(over="ignore"):  # a step with an infinity is left out, and counted
        array = real_array(value, f"the target's {name}", dtype).astype(dtype, copy=False)
    if array.shape != shape:
        raise ShapeError(f"the target's {name} has shape {array.shape}, expected {shape}")
    array = np.ascontiguousarray(array)
    memmove(address, array.ctypes.data, array.nbytes)


def describe(report: _abi.VariationalReport) -> str:
    """One line: steps, bound, tail of the weights, skipped steps, time left.

    >>> report = _abi.VariationalReport(steps=300, total_steps=2000, elbo=-1.25, elbo_error=0.01, pareto_k=0.34,
    ...                                 seconds_left=75.0, samples_per_second=81234.0)
    >>> describe(report)
    'step 300/2000, ELBO -1.2500 ± 0.0100, k-hat 0.34, 1:15 left, 81,234 samples/s'
    """
    parts = [f"step {report.steps}/{report.total_steps}", f"ELBO {report.elbo:.4f} ± {report.elbo_error:.4f}"]
    if report.pareto_k == report.pareto_k:
        parts.append(f"k-hat {report.pareto_k:.2f}")
    parts += skipped(report) + time_left(report)
    parts.append(f"{report.samples_per_second:,.0f} samples/s")
    return ", ".join(parts)


def run(
    flow: F,
    trainer: TargetTrainer[F],
    *,
    progress: bool | float,
    on_progress: Callable[[TargetTrainer[F]], object] | None,
    checkpoint: Path | None,
    every: int,
    stop: StopSignals,
) -> TargetHistory:
    """Train to the end, to a target."""
    shown = display(progress, trainer._now.total_steps, describe, lambda report: float(report.steps))
    return _training.run(
        flow, trainer, TargetHistory(), shown, describe, on_progress=on_progress, checkpoint=checkpoint, every=every,
        stop=stop,
    )  # fmt: skip
