"""What trainers have in common, whatever they train to: steps, checkpoints, flows, and the loop over all of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from ctypes import byref
from dataclasses import asdict, fields
from typing import Any, ClassVar, Generic, Protocol, SupportsIndex, TypeAlias, TypeVar, cast

import numpy as np

from . import _abi, _words
from ._abi import lib
from ._arrays import choice, integer, real, seed64
from ._files import Path, encoded, folder, missing_is
from ._progress import Describe, Silent, log
from ._signals import StopSignals
from ._threads import get_num_threads
from ._words import Optimizer

BEGAN_WITH = "the flow has the weights it began with"  # in place of what was best
STATE_NAMES = {code: name for name, code in _abi.STATES.items()}
_PIECE = 0.05  # seconds a call of the library should take, so that Ctrl-C and the progress bar respond

Schedule: TypeAlias = _words.Schedule | Callable[[int, int], float]


class Trainable(Protocol):
    """What a trainer needs of a `Flow`."""

    _handle: _abi.Handle

    def __init__(self, handle: _abi.Handle) -> None: ...


F = TypeVar("F", bound=Trainable)
R = TypeVar("R")


def set_optimizer(
    options: Any,
    *,
    lr: float,
    optimizer: Optimizer,
    schedule: Schedule,
    warmup_steps: SupportsIndex,
    rate_decay: float,
    plateau_patience: SupportsIndex,
    betas: tuple[float, float],
    momentum: float,
    weight_decay: float,
    l2: float,
    clip_quantile: float,
    clip_norm: float,
    ema_decay: float,
    seed: SupportsIndex,
    threads: SupportsIndex | None,
) -> None:
    """How weights move, in the options of any training."""
    options.learning_rate = real(lr, "lr")
    options.optimizer = choice(optimizer, _abi.OPTIMIZERS, "optimizer")
    options.schedule = choice("constant" if callable(schedule) else schedule, _abi.SCHEDULES, "schedule")
    options.warmup_steps = integer(warmup_steps, "warmup_steps", 0)
    options.rate_decay = real(rate_decay, "rate_decay")
    options.plateau_patience = integer(plateau_patience, "plateau_patience", 1)
    options.beta1, options.beta2 = (real(beta, "betas") for beta in betas)
    options.momentum = real(momentum, "momentum")
    options.weight_decay = real(weight_decay, "weight_decay")
    options.l2 = real(l2, "l2")
    options.clip_quantile = real(clip_quantile, "clip_quantile")
    options.clip_norm = real(clip_norm, "clip_norm")
    options.ema_decay = real(ema_decay, "ema_decay")
    options.seed = seed64(seed)
    options.threads = get_num_threads() if threads is None else integer(threads, "threads", 1, 256)


class Stepping(Generic[F]):
    """A handle that moves the weights of a flow; subclasses make it."""

    _C_NAME: ClassVar[str]  # of the functions of the library, between "diffeo_" and what they do
    _handle: _abi.Handle

    def __init__(self, flow: F, lr: float, schedule: Schedule, now: Any) -> None:
        self._flow = flow
        self._lr, self._schedule = float(lr), schedule if callable(schedule) else None
        self._now = now

    def _function(self, name: str) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(lib, f"diffeo_{self._C_NAME}_{name}")
        return function

    def _look(self) -> None:
        self._function("report")(self._handle, byref(self._now))

    def _set_scheduled_rate(self, total: int) -> None:
        """For the next of so many steps, by the caller's function."""
        if self._schedule is None:
            return
        factor = float(self._schedule(self._now.steps, total))
        if not factor >= 0:
            raise ValueError(f"schedule({self._now.steps}, {total}) is {factor}, it must be 0 or more")
        # The library takes rates above 0 only; no smaller one is told from 0 either.
        self._function("set_learning_rate")(self._handle, max(self._lr * factor, np.finfo(np.float64).tiny))

    def _made(self, name: str) -> F:
        return type(self._flow)(_abi.create(_abi.Flow, self._function(name), self._handle))

    @property
    def current(self) -> F:
        """A new flow with the present weights."""
        return self._made("current")

    @property
    def lr(self) -> float:
        """The learning rate, which the schedule multiplies; it may be set between two steps."""
        return self._lr

    @lr.setter
    def lr(self, rate: float) -> None:
        self._function("set_learning_rate")(self._handle, real(rate, "lr"))
        self._look()
        self._lr = float(rate)

    def save(self, path: Path) -> None:
        """Write the training as it stands to a checkpoint, which is a file of a flow, too.

        That is the best one so far; of an `Optimizer`, which judges none, the present one.

        After a crash at any moment it is the old file or the new one, never half of it.

        Raises
        ------
        OSError
            FileNotFoundError if the folder does not exist.
        """
        target = encoded(path)
        with missing_is(path, folder(path)):
            self._function("save")(self._handle, target)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint, before the first step.

        The trainer must have been made as the one that wrote it, of the same flow, rows or target, and options; but how
        long it goes, `patience` and `threads` may be others. It then gives the bits of a training that never stopped.

        Raises
        ------
        ValueError
            Where it is a checkpoint of another training, with what differs, or none at all.
        OSError
            If the file cannot be read; FileNotFoundError if it is missing.
        RuntimeError
            After a step.
        """
        target = encoded(path)
        with missing_is(path, path):
            self._function("load")(self._handle, target)
        self._look()
        if self._schedule is None:
            self._lr = float(self._now.base_learning_rate)


class Training(Stepping[F], Generic[F, R]):
    """A training step by step; subclasses say what a report is."""

    def __init__(self, flow: F, lr: float, schedule: Schedule, now: Any) -> None:
        super().__init__(flow, lr, schedule, now)
        self._piece = 1  # steps in about _PIECE seconds

    def _steps(self) -> tuple[int, int]:
        """Steps to the end of an epoch at most, and of the whole training."""
        raise NotImplementedError

    def _epochs(self) -> int:
        """Complete ones."""
        raise NotImplementedError

    def _reading(self) -> Iterable[AbstractContextManager[None]]:
        """What is around calls that may call back."""
        return []

    @property
    def report(self) -> R:
        """How training stands."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self._function("finished")(self._handle))

    @property
    def best(self) -> F:
        """A new flow with the weights that were best so far."""
        return self._made("best")

    def step(self, batches: SupportsIndex | None = None) -> R:
        """Train on so many minibatches, or to the end of the epoch, which none of the two goes past.

        Ctrl-C is heard within a minibatch or so; training may go on afterwards.

        Raises
        ------
        ArithmeticError
            When no step of a whole epoch was finite. The best weights are kept.
        """
        for _ in self._pieces(None if batches is None else integer(batches, "batches", 1)):
            pass
        return self.report

    def cancel(self) -> None:
        """End training within a minibatch; from any thread. This `step` and later ones raise CancelledError."""
        self._function("cancel")(self._handle)

    def __iter__(self) -> Iterator[R]:
        while not self.finished:
            yield self.step()

    def _pieces(self, batches: int | None) -> Iterator[Any]:
        """Go so many batches on, or to the end of the epoch, in pieces of about `_PIECE` seconds: Python sees signals
        between two of them.
        """
        now, step = self._now, self._function("step")
        while not self.finished:
            most, total = self._steps()
            size = self._piece if batches is None else min(self._piece, batches)
            if self._schedule:
                size = 1
                self._set_scheduled_rate(total)
            before, steps = now.seconds, now.steps
            with ExitStack() as around:
                for context in self._reading():
                    around.enter_context(context)
                step(self._handle, size, byref(now))
            if self._schedule is None:
                piece = now.seconds - before
                self._piece = min(max(1, round(size * min(2.0, _PIECE / max(piece, 1e-9)))), max(1, most))
            yield now
            if batches is not None:
                batches -= now.steps - steps
            if batches == 0 or now.state != _abi.STATES["running"]:
                return


class Recorded:
    """What a history has in common with another: lists with an entry for each epoch, and numbers of the whole."""

    stopped: str

    def _append(self, report: Any) -> None:
        for kept in fields(cast(Any, self)):
            if kept.default_factory is list:
                getattr(self, kept.name).append(getattr(report, kept.name))

    def _end(self, report: Any, stopped: str) -> None:
        for kept in fields(cast(Any, self)):
            if kept.default_factory is not list and kept.name != "stopped":
                setattr(self, kept.name, getattr(report, kept.name))
        self.stopped = stopped


H = TypeVar("H", bound=Recorded)


def run(
    flow: F,
    trainer: Training[F, Any],
    history: H,
    shown: Silent,
    line: Describe,
    *,
    on_progress: Callable[[Any], object] | None,
    checkpoint: Path | None,
    every: int,
    stop: StopSignals,
    watch: Callable[[H], None] = lambda history: None,
) -> H:
    """Train to the end; however that comes, the flow then has the best weights so far.

    line: of a report of the library, for the logger; watch: is called after each epoch.
    """
    if checkpoint is not None and os.path.exists(checkpoint):
        trainer.load(checkpoint)
    stopped, saved = "", -1

    def save() -> None:
        nonlocal saved
        if checkpoint is not None and saved != trainer._now.steps:
            trainer.save(checkpoint)
            saved = trainer._now.steps

    try:
        while not (trainer.finished or stopped):
            for now in trainer._pieces(None):
                shown.update(now)
                if stop:
                    stopped = "signal"
                    break
            if now.state == _abi.STATES["running"]:
                continue
            history._append(trainer.report)
            log(line(now), asdict(trainer.report))
            watch(history)
            if trainer._epochs() % every == 0:
                save()
            if on_progress is None:
                continue
            # So that a callback that saves the flow itself saves what was trained.
            flow._handle = trainer.best._handle
            if on_progress(trainer) and not trainer.finished:
                stopped = "cancelled"
    finally:
        flow._handle = trainer.best._handle
        shown.close()
        save()
    report = trainer.report
    history._end(report, stopped or report.state)
    return history
