"""Diffeo through its Python package; training steps through the function of the library that `fit` calls."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ctypes import byref, sizeof
from functools import cache
from itertools import count
from typing import Any
from unittest import mock

import numpy as np
from cases import BINS, BOUND, Case

from . import Infer, Inference, Learn, Learnt, Run, check, timed


def setup(threads: int) -> None:
    import diffeo

    diffeo.set_num_threads(threads)


def versions() -> dict[str, str]:
    import diffeo

    return {"diffeo": diffeo.__version__, "numpy": np.__version__}


@cache
def flow(architecture: str, transforms: int, dim: int, hidden: int, dtype: str = "float32") -> Any:
    """A flow with weights some way from those it begins with, which are near the identity."""
    import diffeo

    if architecture == "nsf":
        spec = diffeo.Spec(dim, dtype=dtype)
        spline = diffeo.Spline(bins=BINS, low=-BOUND, high=BOUND)
        for i in range(transforms):
            spec = spec.add_coupling((hidden, hidden), mask="odd" if i % 2 else "even", transformer=spline)
        fresh = spec.build()
    else:
        make = getattr(diffeo, architecture)
        fresh = make(dim=dim, transforms=transforms, hidden=(hidden, hidden), standardize=False, dtype=dtype)
    parameters = fresh.parameters()
    parameters += np.random.default_rng(1).normal(0.0, 0.2 / hidden**0.5, parameters.shape).astype(parameters.dtype)
    return fresh.with_parameters(parameters)


def build(case: Case, rows: int) -> Run:
    made = flow(case.architecture, case.transforms, case.dim, case.hidden, case.dtype)
    x = np.random.default_rng(0).normal(size=(rows, case.dim)).astype(case.dtype)
    if case.task == "train":
        return _training(made, case)
    if case.task == "log_prob":
        check(made.log_prob(x), rows)
        return timed(lambda: made.log_prob(x))
    check(made.sample(rows, seed=0), rows)
    seeds = count(1)
    return timed(lambda: made.sample(rows, seed=next(seeds)))


def _training(made: Any, case: Case) -> Run:
    """Steps with all that `fit` does: rows gathered from shuffled data, gradient clipped, ends of epochs."""
    from diffeo import _abi
    from diffeo._threads import get_num_threads

    lib = _abi.lib
    options = _abi.defaults(_abi.TrainOptions, lib.diffeo_train_options_init)
    options.batch_size, options.max_epochs, options.patience = case.rows, 10**9, 0
    options.validation_fraction, options.threads = 0.0, get_num_threads()
    x = np.random.default_rng(0).normal(size=(100 * case.rows, case.dim)).astype(np.float32)
    create = lib.diffeo_trainer_create_f32
    trainer = _abi.create(_abi.Trainer, create, made._handle, byref(options), x, len(x), None, 0, None)
    report = _abi.TrainReport(struct_size=sizeof(_abi.TrainReport))

    def done() -> int:
        """Steps so far; at the end of an epoch, its last batch is still the present one."""
        ended = report.state == _abi.STATES["epoch_end"]
        return int(report.epoch * report.batches_per_epoch + (0 if ended else report.batch))

    def run(repeats: int) -> float:
        goal = done() + repeats
        start = time.perf_counter()
        while done() < goal:
            lib.diffeo_trainer_step(trainer, goal - done(), byref(report))  # stops at the end of an epoch
        return time.perf_counter() - start

    return run


def learn(task: Learn) -> Learnt:
    """Flows as they come, trained by `fit`."""
    import diffeo

    x, context = task.train
    made = getattr(diffeo, task.flow)(
        dim=x.shape[1], context_dim=0 if context is None else context.shape[1], transforms=task.transforms,
        hidden=task.hidden, seed=task.seed,
    )  # fmt: skip
    history = made.fit(
        x, context, validation=task.validation, batch_size=task.batch_size, lr=task.lr, schedule="cosine",
        max_epochs=task.max_epochs, patience=task.patience, clip_quantile=task.clip_quantile,
        seed=task.seed, progress=False,
    )  # fmt: skip
    return Learnt(made.log_prob(*task.test), len(history), history.best_epoch)


def infer(task: Infer, estimator: str = "path", target: str = "c") -> Inference:
    """What `fit_target` does, with a target in C or in NumPy."""
    import inference_targets
    import diffeo

    options: dict[str, Any] = {
        "steps": task.steps, "batch_size": task.batch_size, "estimator": estimator, "lr": task.lr, "schedule": "cosine",
        "seed": task.seed, "threads": 1,
    }  # fmt: skip
    function = inference_targets.NUMPY[task.target]
    with _direct(getattr(inference_targets.in_c(), task.target)) if target == "c" else nullcontext():
        trainer = diffeo.TargetTrainer(_sampler(task), function, **options)

    def run(steps: int) -> None:
        for _ in range(steps // 100):
            trainer.step()  # to the end of a window

    def sample(n: int) -> tuple[np.ndarray, np.ndarray]:
        x, log_q = trainer.best.sample_and_log_prob(n, seed=2000 + task.seed)
        return x.astype(float), log_q.astype(float)

    return Inference(run, sample)


@contextmanager
def _direct(function: Any) -> Iterator[None]:
    """Trainers that are made meanwhile call a function of C, as a program in C has it: no Python between."""
    from diffeo import _abi, variational

    class Call:
        def __init__(self, *_: Any) -> None:
            self.function = ctypes.cast(function, _abi.TargetF32)
            self.raising = nullcontext

    with mock.patch.object(variational, "_Call", Call):
        yield


def _sampler(task: Infer) -> Any:
    import diffeo

    if task.flow == "diagonal Gaussian":
        return diffeo.Spec(task.dim).set_base("normal").build(seed=task.seed)
    if task.flow == "full Gaussian":
        return diffeo.Spec(task.dim).set_base("normal").add_lu(permuted=False).build(seed=task.seed)
    name, own = ("spline_coupling", {"bins": BINS, "bound": BOUND}) if task.flow == "spline" else (task.flow, {})
    return getattr(diffeo, name)(task.dim, transforms=task.transforms, hidden=task.hidden, seed=task.seed, **own)
