"""One library in a process of its own: answers the requests of run.py, one JSON object a line, until the pipe ends.

worker.py MODULE THREADS, where MODULE is one of peers/. The process inherits the cores it may use and the environment.

    {"setup": true}                                    {"versions": {...}}
    {"prepare": {case}, "seconds": most for a round}   {"rows": n, "repeats": calls in a round}
    {"run": repeats}                                   {"seconds": for one call}

and {"unavailable": reason} where the library is missing or does not do this.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from typing import Any

from cases import Case
from peers import Run, UnavailableError

_PROBE = 50  # rows are cut to this fraction to learn what all of them would take
_FEWER = 4  # rows are cut where all of them would take so many times what a round should
_LEAST = 0.03  # seconds: a round repeats quick calls so long


class Worker:
    """The state between requests: the prepared case."""

    def __init__(self, module: str, threads: int) -> None:
        self.module, self.threads = module, threads
        self.run: Run | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            if "setup" in request:
                return self.setup()
            if "prepare" in request:
                return self.prepare(Case(**request["prepare"]), request["seconds"])
            assert self.run is not None
            return {"seconds": self.run(request["run"]) / request["run"]}
        except (UnavailableError, ImportError) as error:
            return {"unavailable": str(error)}
        except Exception as error:
            traceback.print_exc()
            return {"unavailable": f"failed: {type(error).__name__}: {error}"[:300]}

    def setup(self) -> dict[str, Any]:
        self.peer = importlib.import_module(f"peers.{self.module}")
        self.peer.setup(self.threads)
        return {"versions": self.peer.versions()}

    def prepare(self, case: Case, seconds: float) -> dict[str, Any]:
        """Build, warm up, and choose how many calls a round makes; of slow samples, fewer rows than all."""
        self.run = None
        gc.enable()
        gc.collect()
        rows = case.rows
        if case.task == "sample" and rows > _PROBE:
            few = rows // _PROBE
            whole = _warm(self.peer.build(case, few)) * _PROBE
            if whole > _FEWER * seconds:
                rows = max(few, int(rows * seconds / whole) // few * few)
        self.run = self.peer.build(case, rows)
        once = _warm(self.run)
        gc.collect()
        gc.disable()
        return {"rows": rows, "repeats": max(1, round(min(_LEAST, seconds) / once))}


def _warm(run: Run) -> float:
    """Seconds of a call once it is warm."""
    first = run(1)
    if first > _LEAST:
        return min(first, run(1)) if first < 1.0 else first
    run(max(1, min(100, round(_LEAST / first))))
    return run(5) / 5


def main() -> None:
    worker = Worker(sys.argv[1], int(sys.argv[2]))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    for line in sys.stdin:
        answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
