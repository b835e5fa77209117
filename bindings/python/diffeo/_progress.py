"""How a training run is shown: a tqdm bar; in a log file or without tqdm, a line of text for each epoch."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from . import _abi


class Silent:
    """Shows nothing."""

    def update(self, report: _abi.TrainReport) -> None:
        """Take note of a report, which comes several times a second."""

    def close(self) -> None:
        """End the display."""


class Lines(Silent):
    """A line for each epoch, to stderr."""

    def __init__(self, max_epochs: int) -> None:
        self._max_epochs = max_epochs
        self._shown = 0

    def update(self, report: _abi.TrainReport) -> None:
        if report.epoch > self._shown:
            self._shown = report.epoch
            print(describe(report, self._max_epochs), file=sys.stderr, flush=True)


class Bar(Silent):
    """A tqdm bar that moves within epochs too."""

    def __init__(self, tqdm: Any, max_epochs: int) -> None:
        self._max_epochs = max_epochs
        self._bar = tqdm(total=max_epochs, bar_format="{bar:20}| {desc}", desc="training")

    def update(self, report: _abi.TrainReport) -> None:
        done = report.epoch
        if report.state == _abi.STATES["running"]:
            done += report.batch / max(report.batches_per_epoch, 1)
        self._bar.set_description_str(describe(report, self._max_epochs), refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def display(wanted: bool, max_epochs: int) -> Silent:
    """The best display there is."""
    if not wanted:
        return Silent()
    # A notebook is no terminal, but tqdm knows how to draw there.
    if sys.stderr.isatty() or "IPython" in sys.modules:
        try:
            return Bar(importlib.import_module("tqdm.auto").tqdm, max_epochs)
        except ImportError:
            pass
    return Lines(max_epochs)


def describe(report: _abi.TrainReport, max_epochs: int) -> str:
    """One line: the epoch, mean log-likelihoods in nats, speed, time left.

    >>> report = _abi.TrainReport(epoch=3, train_log_prob=-1.25, validation_log_prob=-1.5, rows_per_second=81234.0,
    ...                           seconds_left=75.0)
    >>> describe(report, 100)
    'epoch 3/100, train -1.2500, validation -1.5000, 81,234 rows/s, 1:15 left'
    """
    parts = [f"epoch {report.epoch}/{max_epochs}", f"train {report.train_log_prob:.4f}"]
    if report.validation_log_prob == report.validation_log_prob:
        parts.append(f"validation {report.validation_log_prob:.4f}")
    parts.append(f"{report.rows_per_second:,.0f} rows/s")
    if report.state <= _abi.STATES["epoch_end"] and 0 <= report.seconds_left < 1e7:
        minutes, seconds = divmod(round(report.seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        parts.append((f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{seconds:02} left")
    return ", ".join(parts)
