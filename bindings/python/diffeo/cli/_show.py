"""What commands show: progress, errors in a sentence, numbers with their errors."""

from __future__ import annotations

import importlib
import json
import math
import sys
from typing import Any


class StoppedError(Exception):
    """A command was ended by a signal; `status` is the exit status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def sentence(error: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError) and not str(error):
        return "there is not enough memory"
    text = " ".join(str(error.args[0] if isinstance(error, KeyError) and error.args else error).split())
    return text or type(error).__name__


class Progress:
    """A bar of tqdm on a terminal, nothing elsewhere."""

    def __init__(self, total: int | None, done: int, quiet: bool, unit: str = " rows") -> None:
        self._bar: Any = None
        if quiet or not sys.stderr.isatty():
            return
        try:
            tqdm = importlib.import_module("tqdm").tqdm
        except ImportError:
            return
        self._bar = tqdm(total=total, initial=done, unit=unit, unit_scale=True)

    def update(self, count: int) -> None:
        """So many more are done."""
        if self._bar is not None:
            self._bar.update(count)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def finite(value: float) -> float | None:
    """A number that JSON has."""
    return float(value) if math.isfinite(value) else None


def wrote(path: str, rows: int, quiet: bool) -> None:
    """Tell of a file."""
    if not quiet:
        print(f"{path}: {rows:,} rows", file=sys.stderr)


def dumps(value: Any) -> str:
    """JSON that two equal things have alike."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
