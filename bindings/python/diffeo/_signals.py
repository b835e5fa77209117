"""Signals of the operating system that end a training in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable
from types import FrameType
from typing import Any


class StopSignals:
    """Whether one of these signals has come, while it is entered; then they do again what they did before."""

    def __init__(self, signals: Iterable[int]) -> None:
        self._signals = tuple(signal.Signals(number) for number in signals)
        self._before: list[Any] = []
        self._came = False

    def __bool__(self) -> bool:
        return self._came

    def __enter__(self) -> StopSignals:
        if self._signals and threading.current_thread() is not threading.main_thread():
            raise ValueError("stop_signals can be given in the main thread only: Python hears signals nowhere else")
        for number in self._signals:
            self._before.append(signal.signal(number, self._note))
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in zip(self._signals, self._before, strict=False):
            # None: one that was not set from Python, and cannot be from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
