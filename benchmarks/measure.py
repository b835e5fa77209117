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
from typing import Any

from cases import Case

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


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
        return min(self.rounds, default=None)

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

    def __init__(self, module: str, cores: list[int], threads: int, log: Path) -> None:
        self.module, self.cores, self.threads, self.log = module, cores, threads, log
        self.versions: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None
        self.missing = ""

    def start(self) -> str:
        """Why it cannot be used, or nothing."""
        if self.process is None and not self.missing:
            with self.log.open("a") as log:
                self.process = subprocess.Popen(
                    [sys.executable, HERE / "worker.py", self.module, str(self.threads)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                    env=environment(self.threads), cwd=HERE,
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

    total: float  # seconds for the whole suite
    round: float  # most seconds of one library in one round
    rounds: int  # at most
    prepare: float  # most seconds to build a case, compile or export it


class Peak:
    """Multiply-adds of one core, measured in the same rounds: machines change their clock."""

    def __init__(self, folder: Path, core: int) -> None:
        self.program, self.core, self.best = folder / "peak", core, 0.0
        flags = ["-O3", "-march=native", "-ffp-contract=fast"]
        subprocess.run([os.environ.get("CC", "cc"), *flags, HERE / "peak.c", "-o", self.program], check=True)

    def measure(self) -> None:
        """GFLOP/s, kept in `best`."""
        run = subprocess.run(
            [self.program], check=True, capture_output=True, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, [self.core]),
        )  # fmt: skip
        self.best = max(self.best, float(run.stdout))


def measure(case: Case, workers: dict[str, Worker], peak: Peak, effort: Effort, deadline: float) -> dict[str, Timing]:
    """Prepare all, then rounds of all in turn until the deadline, two at the least."""
    timings: dict[str, Timing] = {}
    repeats: dict[str, int] = {}
    for module, worker in workers.items():
        reason = worker.start()
        timing = timings[module] = Timing(unavailable=reason)
        if reason:
            continue
        begin = time.monotonic()
        answer = worker.ask({"prepare": case.as_json(), "seconds": effort.round}, effort.prepare)
        timing.preparation = round(time.monotonic() - begin, 3)
        timing.unavailable = answer.get("unavailable", "")
        timing.rows, repeats[module] = answer.get("rows", 0), answer.get("repeats", 1)

    for number in range(effort.rounds):
        if number >= 2 and time.monotonic() > deadline:
            break
        if case.useful_flops and case.rows > 1:
            peak.measure()
        for module, timing in timings.items():
            if timing.unavailable:
                continue
            if workers[module].threads > 1:
                time.sleep(0.05)  # teams of the one before may still spin
            answer = workers[module].ask({"run": repeats[module]}, 20 * effort.round + 10)
            timing.unavailable = answer.get("unavailable", "")
            if not timing.unavailable:
                timing.rounds.append(answer["seconds"] * case.rows / timing.rows)
    return timings
