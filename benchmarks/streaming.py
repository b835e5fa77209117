"""Rows a second of training, and of log-densities, from memory and from data that is read, in turns: streaming.py.

The data is larger than the memory that it may take: it is written to temporary files first (about 200 MB). Every
source has its turn in each round; what is printed are medians over the rounds: rows a second; their ratio to those from
memory in the same round; and the ratio of processor time a row from memory to that of the source, reading included,
which is the speed where the thread that reads has no core of its own, and is not moved by what else the machine does.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import diffeo
import h5py
import numpy as np


class Sliced:
    """An array behind slices, as any reader of one's own may be."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.shape, self.dtype = x, x.shape, x.dtype

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.x[rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--dim", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=2**24, help="bytes for rows")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    diffeo.set_num_threads(given.threads)
    x = np.random.default_rng(0).normal(size=(given.rows, given.dim)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "x.npy", x)
        with h5py.File(folder / "x.h5", "w") as file:
            file.create_dataset("plain", data=x)
            file.create_dataset("gzip", data=x, chunks=(8192, given.dim), compression="gzip", shuffle=True)
        with h5py.File(folder / "x.h5") as file:
            sources = {
                "memory": x,
                ".npy, memory map": np.load(folder / "x.npy", mmap_mode="r"),
                "HDF5": file["plain"],
                "HDF5, gzip": file["gzip"],
                "callback": Sliced(x),
            }
            print(f"{given.rows:,} rows of {given.dim}, {given.threads} threads, rows_memory {given.memory:,}")
            for what, measure in ("training", training), ("log_prob", densities):
                turns: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
                for _ in range(given.rounds):
                    for name, source in sources.items():
                        run = measure(source, given)
                        start, cpu = time.perf_counter(), time.process_time()
                        run()
                        turns[name].append((time.perf_counter() - start, time.process_time() - cpu))
                for name, seconds in turns.items():
                    pairs = list(zip(turns["memory"], seconds, strict=True))
                    wall, cpu = (statistics.median(a[i] / b[i] for a, b in pairs) for i in (0, 1))
                    speed = given.rows / statistics.median(each[0] for each in seconds)
                    print(f"{what:10} {name:18} {speed:12,.0f} rows/s  {wall:.3f}  {cpu:.3f}", flush=True)


def training(x: object, given: argparse.Namespace) -> Callable[[], object]:
    """An epoch, validation included; without the passes before it."""
    flow = diffeo.maf(dim=given.dim)
    return diffeo.Trainer(flow, x, max_epochs=1, rows_memory=given.memory).step


def densities(x: object, given: argparse.Namespace) -> Callable[[], object]:
    flow = diffeo.maf(dim=given.dim)
    return lambda: flow.log_prob(x)


if __name__ == "__main__":
    main()
