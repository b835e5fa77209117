#!/usr/bin/env python3
"""A step of Glow, actnorm, invertible 1x1 convolution and coupling 3-1-3, beside normflows' GlowBlock in PyTorch.

    DIFFEO_LIBRARY=... PYTHONPATH=bindings/python python benchmarks/images_speed.py [--rounds N] [--write]

PyTorch twice: as it comes, and with malloc told to keep the memory of large maps, which is returned and asked for again
otherwise. All take turns, a fraction of a second each; every one is a process of its own with one thread, and float32.
The processor's time counts, which says the same on a busy machine. The least time counts, and ratios are those of least
times; beside it the median of the ratios of neighbours. What a second thread gives is in threads.py.

Operations are those of convolutions and 1x1 convolutions, two a multiply-add, and of a training step (log-densities and
the gradient of all parameters, without an optimizer) three times as many; what Diffeo computes again to save memory
does not count. Peaks are those of machine.c, which has its turn as well: the share is that of the best turns of both,
and beside it the median of the shares of neighbours. `--write` puts the table into docs/performance.md.
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
from typing import TYPE_CHECKING, Any

import numpy as np
from machine import NATIVE, Machine
from report import Table, markdown, plain, seconds_text, write

if TYPE_CHECKING:
    from diffeo import Flow

# mallopt(3): blocks of any size from the heap, of which nothing is given back
KEEPING = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}
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


def glow_step(case: Case) -> Flow:
    """A step of Glow as a flow."""
    import diffeo

    spec = diffeo.Spec(shape=(case.channels, case.side, case.side)).add_actnorm().add_lu()
    return spec.add_image_coupling(hidden=(case.hidden, case.hidden), scale="sigmoid").build()


def ours(case: Case, rows: int) -> dict[str, Callable[[], Any]]:
    """By task."""
    flow = glow_step(case)
    x = np.random.default_rng(0).normal(size=(rows, *flow.shape)).astype(np.float32)
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
    """Asked for a case, a task and images, makes some calls: the seconds of the processor for one."""
    if peer == "diffeo":
        from diffeo import set_num_threads
    else:
        from torch import set_num_threads
    set_num_threads(1)
    made: dict[Any, tuple[Callable[[], Any], int]] = {}
    while (asked := pipe.recv()) is not None:
        case, task, rows = asked
        if asked not in made:
            if made and next(iter(made))[0] != case:
                made.clear()
            call = (ours if peer == "diffeo" else theirs)(case, rows)[task]
            call(), call()
            start = time.process_time()
            call(), call()
            made[asked] = call, max(1, round(2 * PIECE / max(time.process_time() - start, 1e-6)))
        call, count = made[asked]
        start = time.process_time()
        for _ in range(count):
            call()
        pipe.send((time.process_time() - start) / count)


def turns(
    pipes: dict[str, Connection], machine: Machine, asked: tuple[Case, str, int], rounds: int
) -> dict[str, list[float]]:
    """Operations a second by peer and round, and those that the machine has at the most."""
    case, task, rows = asked
    found: dict[str, list[float]] = {peer: [] for peer in (*pipes, "peak")}
    for _ in range(rounds):
        for peer, pipe in pipes.items():
            pipe.send(asked)
            found[peer].append(case.operations(task, rows) / pipe.recv())
        found["peak"].append(1e9 * machine.peak("float32", NATIVE, 1))
    return found


def compared(ours: list[float], others: list[float], form: str) -> str:
    """The ratio of the best, and the median of those of neighbours."""
    middle = statistics.median(own / other for own, other in zip(ours, others, strict=True))
    return f"{max(ours) / max(others):{form}} ({middle:{form}})"


def measure(case: Case, pipes: dict[str, Connection], machine: Machine, rounds: int) -> Table:
    """Rows of the table of one case."""
    table: Table = []
    for task, images in [*((task, case.rows) for task in TASKS), ("forward", 1)]:
        rates = turns(pipes, machine, (case, task, images), rounds)
        best = max(rates["diffeo"])
        cells = [f"{case.title}: {task}, {images} image{'s' if images > 1 else ''}"]
        cells += [seconds_text(case.operations(task, images) / best), f"{best * 1e-9:.0f}"]
        cells.append(compared(rates["diffeo"], rates["peak"], ".0%"))
        cells += [compared(rates["diffeo"], rates[peer], ".2f") for peer in ("torch", "torch, keeping")]
        cells.append(compared(rates["torch, keeping"], rates["peak"], ".0%"))
        table.append(cells)
        print(" | ".join(table[-1]), flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="A step of Glow beside normflows' GlowBlock in PyTorch.")
    parser.add_argument("--rounds", type=int, default=15)
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
    header = ["", "time", "GFLOP/s", "of peak", "torch as it comes", "torch keeping memory", "the latter of peak"]
    table: Table = [header]
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), sorted(os.sched_getaffinity(0))[:1])
        for case in CASES:
            table += measure(case, pipes, machine, arguments.rounds)
        peak = max(rate for (name, _, _), rate in machine.peaks.items() if name == "float32")
        here = "{date}, {cpu}, {cores} cores, {isa}".format(**machine.facts) + f"; GFLOP/s at the most: {peak:.0f}"
    for pipe in pipes.values():
        pipe.send(None)
    print(f"{here}\n{plain(table)}")
    if arguments.write:
        page = Path(__file__).resolve().parent.parent / "docs/performance.md"
        write(page, {"images": f"{here}:\n\n{markdown(table)}"})


if __name__ == "__main__":
    main()
