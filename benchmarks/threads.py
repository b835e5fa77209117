#!/usr/bin/env python3
"""What more threads give to a training step, beside what the machine gives to as many processes of one thread.

    DIFFEO_LIBRARY=... PYTHONPATH=bindings/python python benchmarks/threads.py [--rounds N] [--threads N] [--write]

One thread, several, and processes at the same time take turns, some milliseconds each; ratios are those of neighbours,
and their median counts. A round in which a thread had to wait for a core (Linux counts it) is left out: where others
use the machine, it says what they do. `--write` puts the table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from cases import Case
from images_speed import CASES as IMAGES
from images_speed import Case as Images
from images_speed import glow_step
from machine import facts
from report import Table, markdown, plain, seconds_text, write

CASES: list[Case | Images] = [
    *(Case("maf", "train", dim, hidden, rows) for dim, hidden in ((6, 100), (43, 512)) for rows in (256, 512)),
    *IMAGES,
]
PIECE = 0.03  # seconds of a turn, at least one step
MOST_WAITING = 0.02  # of the time of a turn that counts
Turn: TypeAlias = tuple[float, float]  # seconds a step, and the share that threads have waited for a core


def waited() -> float:
    """Seconds, of all threads of this process, ready to run but without a core."""
    files = Path("/proc/self/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[1]) for file in files) * 1e-9


def worker(pipe: Connection) -> None:
    """Asked for a case and a number of threads, does some steps and answers with a Turn."""
    import diffeo
    import numpy as np

    trainers: dict[tuple[Case | Images, int], tuple[diffeo.Trainer, int]] = {}
    while (asked := pipe.recv()) is not None:
        case, threads = asked
        if asked not in trainers:
            if isinstance(case, Images):
                flow, batches = glow_step(case), 10
            else:
                flow = diffeo.maf(case.dim, transforms=case.transforms, hidden=(case.hidden, case.hidden))
                batches = 100
            x = np.random.default_rng(0).normal(size=(batches * case.rows, *flow.shape)).astype(np.float32)
            trainer = diffeo.Trainer(
                flow, x, batch_size=case.rows, validation=0.0, patience=0, max_epochs=1_000_000, threads=threads
            )
            trainer.step(3)
            start = time.perf_counter()
            trainer.step(3)
            trainers[asked] = trainer, max(1, round(PIECE / (time.perf_counter() - start) * 3))
        trainer, steps = trainers[asked]
        before, start = waited(), time.perf_counter()
        trainer.step(steps)
        seconds = time.perf_counter() - start
        pipe.send((seconds / steps, (waited() - before) / seconds))


def measure(case: Case | Images, pipes: list[Connection], rounds: int) -> list[str]:
    def together(pipes: list[Connection], threads: int) -> list[Turn]:
        for pipe in pipes:
            pipe.send((case, threads))
        return [pipe.recv() for pipe in pipes]

    found: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        turns = together(pipes[:1], 1), together(pipes[:1], len(pipes)), together(pipes, 1)
        if max(share for turn in turns for _, share in turn) < MOST_WAITING:
            one, several, processes = (statistics.mean(seconds for seconds, _ in turn) for turn in turns)
            found.append((one, several, processes))
    title = case.title if isinstance(case, Case) else f"{case.title}: training step, {case.rows} images"
    if not found:
        return [title, *["n/a"] * 4, f"0 of {rounds}"]
    return [
        title,
        seconds_text(statistics.median(one for one, _, _ in found)),
        seconds_text(statistics.median(several for _, several, _ in found)),
        f"{statistics.median(one / several for one, several, _ in found):.2f}",
        f"{statistics.median(len(pipes) * one / processes for one, _, processes in found):.2f}",
        f"{len(found)} of {rounds}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="What more threads give to a training step.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="all cores if not given")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    for _ in range(arguments.threads):
        ours, theirs = context.Pipe()
        context.Process(target=worker, args=(theirs,), daemon=True).start()
        pipes.append(ours)
    n = arguments.threads
    table: Table = [["", "one thread", f"{n} threads", "times as fast", f"{n} processes", "rounds that count"]]
    for case in CASES:
        table.append(measure(case, pipes, arguments.rounds))
    for pipe in pipes:
        pipe.send(None)
    here = "{date}, {cpu}, {cores} cores, {isa}".format(**facts())
    print(f"{here}\n{plain(table)}")
    if arguments.write:
        page = Path(__file__).resolve().parent.parent / "docs/performance.md"
        write(page, {"steps": f"{here}:\n\n{markdown(table)}"})


if __name__ == "__main__":
    main()
