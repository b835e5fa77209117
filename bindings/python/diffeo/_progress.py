"""How a training run is shown: a tqdm bar; in a log file or without tqdm, a line of text every few seconds.

Programs listen to the logger ``diffeo`` instead, which has a record for every epoch.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from . import _abi
from ._arrays import real

Describe: TypeAlias = Callable[[Any], str]

_SECONDS = 10.0  # from a line to the next
_LOGGER = logging.getLogger("diffeo")
_LOGGER.addHandler(logging.NullHandler())


class Silent:
    """Shows nothing."""

    def update(self, report: Any) -> None:
        """Take note of a report of the library, which comes several times a second."""

    def close(self) -> None:
        """End the display."""


class Lines(Silent):
    """Lines to stderr: one after the first epoch, then one every so many seconds of training, one at the end."""

    def __init__(self, describe: Describe, seconds: float) -> None:
        self._describe, self._seconds = describe, seconds
        self._due, self._first = seconds, True
        self._waiting = ""  # what no line has told yet

    def update(self, report: Any) -> None:
        self._waiting = self._describe(report)
        first = self._first and report.state != _abi.STATES["running"]
        if report.seconds >= self._due or first:
            self._due, self._first = report.seconds + self._seconds, False
            self.close()

    def close(self) -> None:
        if self._waiting:
            print(self._waiting, file=sys.stderr, flush=True)
            self._waiting = ""


class Bar(Silent):
    """A tqdm bar that moves within epochs too."""

    def __init__(self, tqdm: Any, total: int, describe: Describe, done: Callable[[Any], float]) -> None:
        self._describe, self._done = describe, done
        self._bar = tqdm(total=total, bar_format="{bar:10}| {desc}", desc="training")

    def update(self, report: Any) -> None:
        self._bar.set_description_str(self._describe(report), refresh=False)
        self._bar.update(self._done(report) - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def display(
    wanted: bool | float,
    total: int,
    describe: Describe,
    done: Callable[[Any], float],
    describe_line: Describe | None = None,
) -> Silent:
    """The best display there is; a number is that of seconds between two lines, where there is no bar.

    done: of so many in all; describe_line: in place of describe, where no bar tells how far within an epoch it is.
    """
    given = not isinstance(wanted, (bool, np.bool_))
    seconds = real(wanted, "progress") if given else _SECONDS
    if not seconds >= 0:
        raise ValueError(f"progress must be True, False or a number of seconds above 0, not {wanted!r}")
    if not wanted:
        return Silent()
    # A notebook is no terminal, but tqdm knows how to draw there.
    if sys.stderr.isatty() or "IPython" in sys.modules:
        try:
            return Bar(importlib.import_module("tqdm.auto").tqdm, total, describe, done)
        except ImportError:
            pass
    return Lines(describe_line or describe, seconds)


def log(line: str, values: dict[str, Any]) -> None:
    """Tell the logger about an epoch; its record has the values as attributes."""
    _LOGGER.info("%s", line, extra=values)


def describe(report: _abi.TrainReport, max_epochs: int, within: bool = False) -> str:
    """One line: epochs, mean log-likelihoods in nats, skipped steps, time left, speed, cut steps.

    What matters least comes last: narrow terminals do not show it. within: tell tenths of epochs.

    >>> report = _abi.TrainReport(epoch=3, train_log_prob=-1.25, validation_log_prob=-1.5, rows_per_second=81234.0,
    ...                           seconds_left=75.0, batch=3, batches_per_epoch=10, steps=33, cut_steps=3)
    >>> describe(report, 100)
    'epoch 3/100, train -1.2500, validation -1.5000, 1:15 left, 81,234 rows/s, 9 % of steps cut'
    >>> report.skipped_steps = 2
    >>> describe(report, 100, within=True)[:65]
    'epoch 3.3/100, train -1.2500, validation -1.5000, 2 steps skipped'
    """
    running = within and report.state == _abi.STATES["running"]
    parts = [f"epoch {epochs(report):.1f}/{max_epochs}" if running else f"epoch {report.epoch}/{max_epochs}"]
    parts.append(f"train {_nats(report.train_log_prob)}")
    if report.validation_log_prob == report.validation_log_prob:
        parts.append(f"validation {_nats(report.validation_log_prob)}")
    parts += skipped(report) + time_left(report)
    parts.append(f"{report.rows_per_second:,.0f} rows/s")
    if report.cut_steps:
        parts.append(f"{100 * report.cut_steps / report.steps:.0f} % of steps cut")
    return ", ".join(parts)


def skipped(report: Any) -> list[str]:
    """Of a line, if any steps were."""
    count = report.skipped_steps
    return [f"{count:,} step{'s' * (count > 1)} skipped"] if count else []


def time_left(report: Any) -> list[str]:
    """Of a line, while there is something to do."""
    if report.state > _abi.STATES["epoch_end"] or not 0 <= report.seconds_left < 1e7:
        return []
    minutes, seconds = divmod(round(report.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    return [(f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{seconds:02} left"]


def epochs(report: _abi.TrainReport) -> float:
    """Epochs done, and the part of the present one."""
    part = report.batch / max(report.batches_per_epoch, 1) if report.state == _abi.STATES["running"] else 0.0
    return float(report.epoch) + part


def _nats(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4g}"
