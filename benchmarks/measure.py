"""Workers in turn: every library measures a case in the same rounds, one of them at a time."""

from __future__ import annotations

import json
import os
import selectors
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from cases import Case
from peers import PEERS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
Key: TypeAlias = tuple[str, int]  # a peer, and its threads


def environment(threads: int) -> dict[str, str]:
    """Every library on so many threads, and diffeo from this checkout."""
    names = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "DIFFEO")
    eigen = "false" if threads == 1 else "true"
    return {
        **os.environ,
        **{f"{name}_NUM_THREADS": str(threads) for name in names},
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}",
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(ROOT / "bindings/python"),
        "DIFFEO_LIBRARY": os.path.abspath(os.environ.get("DIFFEO_LIBRARY") or ROOT / ".build/release/libdiffeo.so"),
    }


@dataclass
class Timing:
    """What one library took for a case: seconds a call, for all rows of the case."""

    rounds: list[float] = field(default_factory=list)
    preparation: float = 0.0  # seconds to build and warm up, and to compile or export
    rows: int = 0  # those measured: fewer than the rows of the case where these would take too long
    unavailable: str = ""

    @property
    def minimum(self) -> float | None:
        return None if self.unavailable else min(self.rounds, default=None)

    def as_json(self) -> dict[str, Any]:
        if self.unavailable:
            return {"unavailable": self.unavailable}
        median = statistics.median(self.rounds)
        return {
            "minimum": self.minimum,
            "median": median,
            "rounds": [float(f"{seconds:.4g}") for seconds in self.rounds],
            "rows": self.rows,
            "preparation": self.preparation,
        }


class Worker:
    """A process of worker.py; one that dies or does not answer in time is started again for the next case."""

    def __init__(self, peer: str, cores: list[int], log: Path) -> None:
        self.peer, self.cores, self.log = PEERS[peer], cores, log
        self.versions: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None
        self.missing = ""

    @property
    def threads(self) -> int:
        return len(self.cores)

    def start(self) -> str:
        """Why it cannot be used, or nothing."""
        if self.process is None and not self.missing:
            with self.log.open("a") as log:
                self.process = subprocess.Popen(
                    [sys.executable, HERE / "worker.py", self.peer.module, str(self.threads)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                    env=environment(self.threads) | self.peer.environment, cwd=HERE,
                    preexec_fn=lambda: os.sched_setaffinity(0, self.cores),
                )  # fmt: skip
            answer = self.ask({"setup": True}, 60.0)
            self.missing = answer.get("unavailable", "")
            self.versions = answer.get("versions", {})
        return self.missing

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        assert self.process
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(self.process.stdout, selectors.EVENT_READ)
                if not selector.select(seconds):
                    self.stop()
                    return {"unavailable": f"not ready in {seconds:.0f} s"}
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.stop()
            return {"unavailable": f"its process ended: see {self.log.relative_to(ROOT)}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    flows: float  # seconds for all whole flows
    round: float  # most seconds of one library in one round
    rounds: int  # at most
    prepare: float  # most seconds to build a case, compile or export it
    call: float  # seconds for each layer, number of rows, ... of ours alone
    starts: int  # processes


def wanted(case: Case, key: Key) -> bool:
    """Single rows are a matter of one thread, and from C there are only those."""
    peer, threads = key
    if case.rows == 1:
        return threads == 1 and peer != "diffeo_avx2"
    return peer != "diffeo_c"


def measure(case: Case, workers: dict[Key, Worker], effort: Effort, deadline: float) -> dict[Key, Timing]:
    """Prepare all, then rounds of all in turn until the deadline, two at the least."""
    timings: dict[Key, Timing] = {}
    repeats: dict[Key, int] = {}
    for key, worker in workers.items():
        if not wanted(case, key):
            continue
        reason = worker.start()
        timing = timings[key] = Timing(unavailable=reason)
        if reason:
            continue
        begin = time.monotonic()
        answer = worker.ask({"prepare": case.as_json(), "seconds": effort.round}, effort.prepare)
        timing.preparation = round(time.monotonic() - begin, 3)
        timing.unavailable = answer.get("unavailable", "")
        timing.rows, repeats[key] = answer.get("rows", 0), answer.get("repeats", 1)

    several = any(worker.threads > 1 for worker in workers.values())
    for number in range(effort.rounds):
        if number >= 2 and time.monotonic() > deadline:
            break
        for key, timing in timings.items():
            if timing.unavailable:
                continue
            if several:
                time.sleep(0.05)  # teams of the one before may still spin
            answer = workers[key].ask({"run": repeats[key]}, 20 * effort.round + 10)
            timing.unavailable = answer.get("unavailable", "")
            if not timing.unavailable:
                timing.rounds.append(answer["seconds"] * case.rows / timing.rows)
    return timings
