"""The libraries that are compared, one module each, with the same three functions.

    setup(threads)           once, before anything else
    versions()               {"package": "1.2.3"}
    build(case, rows)        a Run for the task of the case on so many rows, or UnavailableError with the reason

Nothing is imported before setup, so that a missing library is missing in its own process only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Run: TypeAlias = Callable[[int], float]  # does the task so many times and gives the seconds it took


@dataclass(frozen=True)
class Peer:
    """A column of the table."""

    name: str
    module: str
    environment: dict[str, str] = field(default_factory=dict)
    ours: bool = False


PEERS = {
    "diffeo": Peer("diffeo", "diffeo_python", ours=True),
    "diffeo_c": Peer("diffeo from C", "diffeo_c", ours=True),
    "diffeo_avx2": Peer("diffeo with AVX2", "diffeo_python", {"DIFFEO_MAX_ISA": "avx2"}, ours=True),
    "flowjax": Peer("flowjax", "flowjax_jit"),
    "zuko": Peer("zuko", "zuko_torch"),
    "nflows": Peer("nflows", "nflows_torch"),
    "normflows": Peer("normflows", "normflows_torch"),
    "onnxruntime": Peer("ONNX Runtime", "onnx_runtime"),
}


class UnavailableError(Exception):
    """Raised by a library that does not do a task."""


def timed(call: Callable[[], Any]) -> Run:
    """A Run of something that finishes before it returns."""

    def run(repeats: int) -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        return time.perf_counter() - start

    return run


def check(values: Any, rows: int) -> None:
    """An output has a finite number for every row."""
    total = float(values.sum())
    if values.shape[0] != rows or not math.isfinite(total):
        raise ValueError(f"output of shape {values.shape}, expected {rows} rows; its sum is {total}")
