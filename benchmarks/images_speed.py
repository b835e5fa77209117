#!/usr/bin/env python3
"""A step of Glow, actnorm, invertible 1x1 convolution and coupling 3-1-3, beside normflows' GlowBlock in PyTorch.

    DIFFEO_LIBRARY=... PYTHONPATH=bindings/python python benchmarks/images_speed.py [--rounds N] [--write]

PyTorch twice: as it comes, and with malloc told to keep the memory of large maps, which it returns and asks for again
otherwise. All take turns, a fraction of a second each; every one is a process of its own, and float32. On one thread it
is the processor's time that counts, which says the same on a busy machine; on several that of the clock, in rounds in
which no thread had to wait for a core. The least time counts, and ratios are those of least times; beside it the median
of the ratios of neighbours.

Operations are those of convolutions and 1x1 convolutions, two a multiply-add, and of a training step (log-densities and
the gradient of all parameters, without an optimizer) three times as many; what Diffeo computes again to save memory does
not count. Peaks are those of machine.c in the same run. `--write` puts the tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from machine import NATIVE, Machine
from report import Table, markdown, plain, seconds_text, write
from threads import MOST_WAITING, waited

# mallopt(3): blocks of any size from the heap, of which nothing is given back
KEEPING = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": "67108864"}
PEERS: dict[str, dict[str, str]] = {"diffeo": {}, "torch": {}, "torch, keeping": KEEPING}
TASKS = {"forward": 1, "step": 3, "sample": 1}  # and their operations
PIECE = 0.1  # seconds of a turn, at least one call


@dataclass(frozen=True)
class Case:
    """Images of so many channels and places a side; the hidden maps of the coupling; images in a batch."""

    channels: int
    side: int
    hidden: int
    rows: int = 64

    @property
    def title(self) -> str:
        return f"{self.side} x {self.side}, {self.channels} channels, hidden {self.hidden}"

    def operations(self, task: str, rows: int) -> float:
        kept = self.channels // 2
        matrices = 9 * kept * self.hidden + self.hidden**2 + 9 * self.hidden * 2 * kept + self.channels**2
        return 2.0 * matrices * self.side**2 * rows * TASKS[task]


CASES = [
    Case(4, 14, 64), Case(4, 14, 128), Case(12, 16, 128), Case(12, 16, 256), Case(4, 28, 128), Case(48, 8, 256),
]  # fmt: skip


def ours(case: Case, rows: int) -> dict[str, Callable[[], Any]]:
    """By task."""
    import diffeo

    shape = (case.channels, case.side, case.side)
    spec = diffeo.Spec(shape=shape).add_actnorm().add_lu()
    flow = spec.add_image_coupling(hidden=(case.hidden, case.hidden), scale="sigmoid").build()
    x = np.random.default_rng(0).normal(size=(rows, *shape)).astype(np.float32)
    return {
        "forward": lambda: flow.log_prob(x),
        "step": lambda: flow.log_prob_vjp(x, g_log_prob=-1 / rows, of=("parameters",)),
        "sample": lambda: flow.sample(rows, seed=1),
    }


def theirs(case: Case, rows: int) -> dict[str, Callable[[], Any]]:
    """By task."""
    import normflows
    import torch

    torch.manual_seed(0)
    shape = (case.channels, case.side, case.side)
    block = normflows.flows.GlowBlock(case.channels, case.hidden)
    flow = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(shape, trainable=False), [block])
    x = torch.randn(rows, *shape)
    flow.log_prob(x)  # which sets its actnorm

    def step() -> None:
        flow.zero_grad(set_to_none=True)
        (-flow.log_prob(x).mean()).backward()

    return {
        "forward": torch.no_grad()(lambda: flow.log_prob(x)),
        "step": step,
        "sample": torch.no_grad()(lambda: flow.sample(rows)),
    }


def worker(pipe: Connection, peer: str) -> None:
    """Asked for a case, a task, images and threads, makes some calls: the seconds of one, and the share of waiting."""
    if peer == "diffeo":
        from diffeo import set_num_threads
    else:
        from torch import set_num_threads
    made: dict[Any, tuple[Callable[[], Any], int]] = {}
    while (asked := pipe.recv()) is not None:
        case, task, rows, threads = asked
        set_num_threads(threads)
        clock = time.process_time if threads == 1 else time.perf_counter
        if asked not in made:
            if made and next(iter(made))[0] != case:
                made.clear()
            call = (ours if peer == "diffeo" else theirs)(case, rows)[task]
            call(), call()
            start = clock()
            call(), call()
            made[asked] = call, max(1, round(2 * PIECE / max(clock() - start, 1e-6)))
        call, count = made[asked]
        before, begin, start = waited(), time.perf_counter(), clock()
        for _ in range(count):
            call()
        seconds = (clock() - start) / count
        pipe.send((seconds, (waited() - before) / (time.perf_counter() - begin)))


def turns(pipes: dict[str, Connection], asked: tuple[Case, str, int, int], rounds: int) -> dict[str, list[float]]:
    """Seconds of a call by peer and round."""
    found: dict[str, list[float]] = {peer: [] for peer in pipes}
    for _ in range(rounds):
        answers = {}
        for peer, pipe in pipes.items():
            pipe.send(asked)
            answers[peer] = pipe.recv()
        if asked[3] == 1 or max(waiting for _, waiting in answers.values()) < MOST_WAITING:
            for peer, (seconds, _) in answers.items():
                found[peer].append(seconds)
    return found


def measure(case: Case, pipes: dict[str, Connection], machine: Machine, rounds: int, threads: int) -> Table:
    """Rows of the table of one case."""
    table: Table = []
    one: dict[str, float] = {}
    asked = [(task, case.rows, 1) for task in TASKS] + [("forward", 1, 1)]
    asked += [(task, case.rows, threads) for task in ("forward", "step")] if threads > 1 else []
    machine.measure_peaks()
    for task, rows, count in asked:
        times = turns(pipes, (case, task, rows, count), rounds)
        title = f"{case.title}: {task}, {rows} image{'s' if rows > 1 else ''}"
        if count > 1:
            title += f", {count} threads"
        if not times["diffeo"]:
            table.append([title, *["n/a"] * 6])
            continue
        least = {peer: min(seconds) for peer, seconds in times.items()}
        rate = case.operations(task, rows) / least["diffeo"] * 1e-9
        share = rate / machine.peaks["float32", NATIVE, count]
        torch_share = case.operations(task, rows) / least["torch, keeping"] * 1e-9 / machine.peaks["float32", NATIVE, count]
        cells = [seconds_text(least["diffeo"]), f"{rate:.0f}", f"{share:.0%}"]
        for peer in ("torch", "torch, keeping"):
            pairs = zip(times[peer], times["diffeo"], strict=True)
            middle = statistics.median(other / own for other, own in pairs)
            cells.append(f"{least[peer] / least['diffeo']:.2f} ({middle:.2f})")
        cells.append(f"{torch_share:.0%}")
        if count == 1:
            one[f"{task} {rows}"] = least["diffeo"]
            cells.append("")
        else:
            cells.append(f"{one[f'{task} {rows}'] / least['diffeo']:.2f}")
        table.append([title, *cells])
        print(" | ".join(table[-1]), flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="A step of Glow beside normflows' GlowBlock in PyTorch.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="all cores if not given")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for peer, environment in PEERS.items():
        os.environ.update(environment)
        pipes[peer], end = context.Pipe()
        context.Process(target=worker, args=(end, peer), daemon=True).start()
        for name in environment:
            del os.environ[name]
    header = ["", "time", "GFLOP/s", "of peak", "torch / ours", "torch, keeping / ours", "its share", "1 thread / it"]
    table: Table = [header]
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), sorted(os.sched_getaffinity(0))[: arguments.threads])
        for case in CASES:
            table += measure(case, pipes, machine, arguments.rounds, arguments.threads)
        peaks = ", ".join(f"{machine.peaks['float32', NATIVE, n]:.0f} on {n}" for n in machine.threads)
        here = "{date}, {cpu}, {cores} cores, {isa}".format(**machine.facts) + f"; GFLOP/s at the most: {peaks}"
    for pipe in pipes.values():
        pipe.send(None)
    print(f"{here}\n{plain(table)}")
    if arguments.write:
        page = Path(__file__).resolve().parent.parent / "docs/performance.md"
        write(page, {"images": f"{here}:\n\n{markdown(table)}"})


if __name__ == "__main__":
    main()
