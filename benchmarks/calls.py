"""The program calls.c: diffeo called from C, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LEAST = 0.02  # seconds that are measured at once


@cache
def folder() -> Path:
    """For the program and for flows; it goes with this process."""
    folder.kept = tempfile.TemporaryDirectory(prefix="diffeo-benchmarks-")  # type: ignore[attr-defined]
    return Path(folder.kept.name)  # type: ignore[attr-defined]


@cache
def program() -> Path:
    path = folder() / "calls"
    includes = [f"-I{ROOT / 'include'}", f"-I{ROOT / 'bindings/c'}"]
    source = ROOT / "benchmarks/calls.c"
    subprocess.run([os.environ.get("CC", "cc"), "-O2", *includes, source, "-o", path, "-ldl", "-lm"], check=True)
    return path


class Calls:
    """A task on so many rows, again and again."""

    def __init__(self, file: Path, task: str, rows: int, threads: int = 1) -> None:
        command: list[str | Path] = [program(), file, task, str(rows), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.opening, self.loading, self.first = self._read()  # seconds
        self.memory = 0  # most bytes that calls have taken

    def run(self, repeats: int) -> float:
        """Seconds that so many calls take."""
        assert self.process.stdin
        self.process.stdin.write(f"{repeats}\n")
        self.process.stdin.flush()
        seconds, kilobytes = self._read()
        self.memory = int(kilobytes) * 1024
        return seconds

    def best(self, seconds: float) -> float:
        """Of one call, warm, the least of as many rounds as fit into so many seconds, two at the least."""
        end = time.monotonic() + seconds
        once = self.run(1)
        repeats = max(1, min(1000, round(_LEAST / once)))
        repeats = max(1, round(_LEAST / (self.run(repeats) / repeats)))
        rounds = [self.run(repeats) / repeats]
        while time.monotonic() < end or len(rounds) < 2:
            rounds.append(self.run(repeats) / repeats)
        return min(rounds)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def _read(self) -> list[float]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{program().name} ended with {self.process.wait()}")
        return [float(word) for word in line.split()]
