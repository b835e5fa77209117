"""Training by maximum likelihood: the loop behind `Flow.fit` and what it reports."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from ctypes import byref, sizeof
from dataclasses import dataclass, field, fields
from typing import Any, SupportsIndex, TypeAlias

import numpy.typing as npt

from . import _abi
from ._abi import lib, typed
from ._arrays import Rows, choice, integer, pointer_and_count, real, seed64
from ._progress import display
from ._threads import get_num_threads

_STATE_NAMES = {code: name for name, code in _abi.STATES.items()}
_PIECE = 0.05  # seconds a call of the library should take, so that Ctrl-C and the progress bar respond

Validation: TypeAlias = float | npt.ArrayLike | tuple[npt.ArrayLike, npt.ArrayLike | None] | None


@dataclass(frozen=True, slots=True)
class Report:
    """How training stands at the end of an epoch; log-likelihoods are means over rows, in nats.

    Attributes
    ----------
    epoch : int
        Complete epochs.
    train_rows, validation_rows : int
        Rows trained on, and rows held out.
    train_log_prob : float
        Over the latest epoch, as seen while training.
    validation_log_prob : float
        After the epoch; NaN without validation rows.
    best_log_prob : float
        The best validation value so far; without validation, of training.
    best_epoch : int
        The epoch it was reached in.
    gradient_norm : float
        Of the latest step, before clipping.
    learning_rate : float
        Of the latest step.
    rows_per_second : float
        In the latest epoch, validation included.
    seconds, seconds_left : float
        Spent so far, and to `max_epochs` at this speed.
    skipped_steps : int
        Steps left out because the gradient was not finite.
    """

    epoch: int
    train_rows: int
    validation_rows: int
    train_log_prob: float
    validation_log_prob: float
    best_log_prob: float
    best_epoch: int
    gradient_norm: float
    learning_rate: float
    rows_per_second: float
    seconds: float
    seconds_left: float
    skipped_steps: int


@dataclass
class History:
    """What happened in a training run: lists with one entry for each complete epoch, and the outcome.

    Attributes
    ----------
    epoch : list of int
        1, 2, 3, ...
    train_log_prob, validation_log_prob : list of float
        Mean log-likelihood of a row, in nats: over the epoch while training, and after it on the rows held out (NaN
        without them).
    learning_rate : list of float
        Of the last step of the epoch.
    seconds : list of float
        Since the training began.
    best_epoch : int
        The epoch whose weights the flow has now; 0 for the weights it began with.
    best_log_prob : float
        The validation (without it: training) value of that epoch.
    stopped : {"max_epochs", "patience", "interrupted", "cancelled"}
        Why the training ended: it ran its course; there was no better epoch for long; Ctrl-C; `on_progress` said so.
    """

    epoch: list[int] = field(default_factory=list)
    train_log_prob: list[float] = field(default_factory=list)
    validation_log_prob: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best_log_prob: float = float("nan")
    stopped: str = ""

    def __len__(self) -> int:
        return len(self.epoch)

    def __str__(self) -> str:
        seconds = self.seconds[-1] if self.seconds else 0.0
        return (
            f"{len(self)} epochs in {seconds:.1f} s, stopped by {self.stopped}; "
            f"best epoch {self.best_epoch}: {self.best_log_prob:.4f} nats a row"
        )

    def _append(self, report: Report) -> None:
        for name in ("epoch", "train_log_prob", "validation_log_prob", "learning_rate", "seconds"):
            getattr(self, name).append(getattr(report, name))
        self.best_epoch, self.best_log_prob = report.best_epoch, report.best_log_prob


def options(
    *,
    validation_fraction: float,
    batch_size: SupportsIndex,
    lr: float,
    max_epochs: SupportsIndex,
    patience: SupportsIndex,
    seed: SupportsIndex,
    weight_decay: float,
    clip_norm: float,
    schedule: str,
    threads: SupportsIndex | None,
) -> Any:
    """The C struct of the arguments of `Flow.fit`."""
    made = _abi.defaults(_abi.TrainOptions, lib.diffeo_train_options_init)
    made.validation_fraction = real(validation_fraction, "validation")
    made.batch_size = integer(batch_size, "batch_size", 1)
    made.learning_rate = real(lr, "lr")
    made.max_epochs = integer(max_epochs, "max_epochs", 0)
    made.patience = integer(patience, "patience", 0)
    made.weight_decay = real(weight_decay, "weight_decay")
    made.clip_norm = real(clip_norm, "clip_norm")
    made.schedule = choice(schedule, _abi.SCHEDULES, "schedule")
    made.threads = get_num_threads() if threads is None else integer(threads, "threads", 1, 256)
    made.seed = seed64(seed)
    return made


def trainer(
    flow: _abi.Handle, options: Any, data: Rows, given: Rows | None, held_out: tuple[Rows, Rows | None] | None
) -> _abi.Handle:
    """A trainer of a flow on rows and their context; it has copied both."""
    made = _abi.create(
        _abi.Trainer,
        typed("diffeo_trainer_create", data.dtype),
        flow,
        byref(options),
        data.array,
        len(data),
        *pointer_and_count(given),
    )
    if held_out:
        data, given = held_out
        set_validation = typed("diffeo_trainer_set_validation", data.dtype)
        set_validation(made, data.array, len(data), *pointer_and_count(given))
    return made


def run(
    trainer: _abi.Handle, max_epochs: int, progress: bool, on_progress: Callable[[Report], object] | None
) -> History:
    """Train to the end, or to Ctrl-C."""
    history = History()
    shown = display(progress, max_epochs)
    try:
        _steps(trainer, history, shown.update, on_progress)
    except KeyboardInterrupt:
        history.stopped = "interrupted"
        warnings.warn(
            f"training interrupted in epoch {len(history) + 1}: the flow has its best weights so far, "
            f"those of epoch {history.best_epoch}",
            RuntimeWarning,
            stacklevel=3,
        )
    finally:
        shown.close()
    return history


def _steps(
    trainer: _abi.Handle,
    history: History,
    show: Callable[[_abi.TrainReport], None],
    on_progress: Callable[[Report], object] | None,
) -> None:
    """Step to the end, in pieces of about `_PIECE` seconds: Python sees signals between two of them."""
    now = _abi.TrainReport(struct_size=sizeof(_abi.TrainReport))
    batches, seconds = 1, 0.0
    while True:
        lib.diffeo_trainer_step(trainer, batches, byref(now))
        piece, seconds = now.seconds - seconds, now.seconds
        batches = min(max(1, round(batches * min(2.0, _PIECE / max(piece, 1e-9)))), max(1, now.batches_per_epoch))
        show(now)
        state = _STATE_NAMES[now.state]
        if now.epoch > len(history):
            report = Report(**{f.name: getattr(now, f.name) for f in fields(Report)})
            history._append(report)
            if on_progress is not None and on_progress(report) and state == "epoch_end":
                state = "cancelled"
        if state not in ("running", "epoch_end"):
            history.stopped = state
            return
