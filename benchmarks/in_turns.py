#!/usr/bin/env python3
"""Two builds of the library in turns, in one process on one core: how a change is judged where a machine is noisy.

    DIFFEO_LIBRARY=NEW.so .venv/bin/python benchmarks/in_turns.py OLD.so NEW.so [ROUNDS]

Both load the same weight files and do the same calls, one after the other; a line a call gives the microseconds of the
thread's processor time, the least and the median over the rounds, and the ratios new / old of both. The functions that
are called have the form of 0.1, but for one, which is told by another that came with its change.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from ctypes import CDLL, RTLD_LOCAL, byref, c_char_p, c_int64, c_uint64, c_void_p
from pathlib import Path

import diffeo
import numpy as np


def flows() -> dict[str, diffeo.Flow]:
    trivial = diffeo.Spec(6)
    for _ in range(64):
        trivial.add_reverse()
    return {
        "maf d=6": diffeo.maf(6, hidden=(100, 100)),
        "maf d=43": diffeo.maf(43, hidden=(256, 256)),
        "realnvp d=6": diffeo.realnvp(6, hidden=(100, 100)),
        "spline couplings d=6": diffeo.spline_coupling(6, hidden=(128, 128)),
        "64 permutations d=6": trivial.build(),
    }


def calls(library: CDLL, path: Path, dim: int, rows: int) -> dict[str, Callable[[], int]]:
    """By name; a call returns a status."""
    flow, workspace = c_void_p(), c_void_p()
    assert library.diffeo_flow_load(c_char_p(os.fsencode(path)), byref(flow)) == 0
    assert library.diffeo_workspace_create(1, byref(workspace)) == 0
    x = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)
    out, logs = np.empty_like(x), np.empty(rows, np.float32)
    p = [a.ctypes.data_as(c_void_p) for a in (x, out, logs)]  # which keep their arrays
    n, none, zero = c_int64(rows), None, c_int64(0)
    found = {
        "log_prob": lambda: library.diffeo_flow_log_prob_f32(flow, p[0], n, none, zero, workspace, p[2]),
        "sample": lambda: library.diffeo_flow_sample_f32(
            flow, c_uint64(1), c_uint64(0), n, none, zero, workspace, p[1], p[2]
        ),
        "gradient": lambda: library.diffeo_flow_log_prob_gradient_f32(
            flow, p[0], n, none, zero, workspace, p[2], p[1], none
        ),
    }
    if rows >= 1024:
        trainer = c_void_p()
        weights = (none,) if hasattr(library, "diffeo_trainer_report") else ()  # an argument since both are there
        assert library.diffeo_trainer_create_f32(flow, none, p[0], n, none, zero, *weights, byref(trainer)) == 0
        found["step"] = lambda: library.diffeo_trainer_step(trainer, c_int64(1), none)
    return found


def seconds(call: Callable[[], int], repeats: int) -> float:
    start = time.thread_time()
    for _ in range(repeats):
        assert call() == 0
    return (time.thread_time() - start) / repeats


def main() -> None:
    libraries = [CDLL(str(Path(name).resolve()), RTLD_LOCAL) for name in sys.argv[1:3]]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 30
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(f"{'':34}{'old: least':>12}{'median':>10}{'new: least':>12}{'median':>10}{'ratios':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, flow in flows().items():
            path = Path(folder) / "flow.h5"
            flow.save(path)
            for rows in (1, 4096):
                both = [calls(library, path, flow.dim, rows) for library in libraries]
                for task in both[0]:
                    seconds(both[0][task], 3), seconds(both[1][task], 3)
                    repeats = max(1, int(0.01 / max(seconds(both[0][task], 3), 1e-7)))
                    times = [[seconds(each[task], repeats) for each in both] for _ in range(rounds)]
                    old, new = ([t[i] * 1e6 for t in times] for i in range(2))
                    least, median = min(new) / min(old), statistics.median(n / o for o, n in zip(old, new, strict=True))
                    print(
                        f"{name + ', ' + task + ', ' + str(rows):34}{min(old):12.2f}{statistics.median(old):10.2f}"
                        f"{min(new):12.2f}{statistics.median(new):10.2f}{least:8.3f}{median:7.3f}"
                    )


if __name__ == "__main__":
    main()
