"""The libraries that are compared, one module each, with the same three functions.

    setup(threads)           once, before anything else
    versions()               {"package": "1.2.3"}
    build(case, rows)        a Run for the task of the case on so many rows, or UnavailableError with the reason

Those of side_by_side.py have a fourth, learn(task): a flow trained and tested; those of inference.py infer(task): an
Inference.

Nothing is imported before setup, so that a missing library is missing in its own process only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

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


# Gradients are cut as `fit` of Diffeo does it: to a quantile of so many latest norms, once there are so many.
NORMS, LEAST_NORMS = 256, 8

Pair: TypeAlias = tuple[np.ndarray, np.ndarray | None]  # rows of data and of context, float32


@dataclass(frozen=True)
class Learn:
    """A flow to be trained: everything that the libraries have in common."""

    flow: str  # realnvp, maf, spline_coupling, spline_autoregressive
    transforms: int
    hidden: tuple[int, ...]
    train: Pair  # whole batches
    validation: Pair
    test: Pair
    seed: int
    lr: float
    batch_size: int
    max_epochs: int
    patience: int
    clip_quantile: float

    @property
    def steps(self) -> int:
        return len(self.train[0]) // self.batch_size * self.max_epochs


@dataclass(frozen=True)
class Learnt:
    """Log-densities of the test rows with the best weights."""

    log_prob: np.ndarray
    epochs: int
    best_epoch: int


def early_stopping(
    task: Learn,
    epoch: Callable[[np.ndarray], None],
    density: Callable[[Pair], np.ndarray],
    copy: Callable[[], Any],
    back: Callable[[Any], Any],
) -> Learnt:
    """Epochs over rows in new orders until the validation has not been better for `patience` of them."""
    random = np.random.default_rng(task.seed)
    best, best_epoch, kept, done = -math.inf, 0, copy(), 0
    while done < task.max_epochs and done - best_epoch < task.patience:
        epoch(random.permutation(len(task.train[0])))
        done += 1
        value = float(density(task.validation).mean())
        if value > best:
            best, best_epoch, kept = value, done, copy()
    back(kept)
    return Learnt(density(task.test), done, best_epoch)


@dataclass(frozen=True)
class Infer:
    """A flow to be trained to a density, by Adam with a rate that falls along a cosine."""

    target: str  # of inference_targets.NUMPY
    flow: str  # planar, radial, iaf, realnvp, spline
    transforms: int
    hidden: tuple[int, ...]
    dim: int
    seed: int
    lr: float
    batch_size: int
    steps: int


@dataclass(frozen=True)
class Inference:
    """A training that is to begin: `run` does so many steps, whole hundreds; `sample` gives rows and their log q."""

    run: Callable[[int], None]
    sample: Callable[[int], tuple[np.ndarray, np.ndarray]]
