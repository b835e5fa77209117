"""What the machine can do, measured by machine.c: the numbers that times are compared with."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TYPES = {"float32": "float", "float64": "double"}
NATIVE, AVX2 = "native", "x86-64-v3"  # as compilers name them
SHORT = {AVX2: "AVX2"}
_SMALLEST, _LARGEST = 1 << 26, 1 << 30  # bytes to read of memory beyond all caches


@dataclass(frozen=True)
class Level:
    """A cache, or main memory."""

    name: str
    size: int  # bytes; of main memory, as much as anything needs
    probe: int  # bytes that are read to measure it: more than the level before has, and not all of this one


@dataclass
class Machine:
    """Peaks in GFLOP/s and bandwidths in GB/s, the best of all measurements: machines change their clock."""

    folder: Path
    cores: list[int]  # those to use
    peaks: dict[tuple[str, str, int], float] = field(default_factory=dict)  # by type, instructions, threads
    bandwidths: dict[tuple[str, int], float] = field(default_factory=dict)  # by level, threads

    def __post_init__(self) -> None:
        self.levels = _levels(len(self.cores))
        self.facts = facts()
        self.instructions = [NATIVE, AVX2] if "avx2" in self.facts["flags"] else [NATIVE]
        for real in TYPES.values():
            for isa in self.instructions:
                flags = ["-O3", "-ffp-contract=fast", f"-march={isa}", f"-DREAL={real}", "-pthread"]
                compiler = os.environ.get("CC", "cc")
                subprocess.run([compiler, *flags, HERE / "machine.c", "-o", self._program(real, isa)], check=True)

    @property
    def threads(self) -> list[int]:
        """One, and all."""
        return sorted({1, len(self.cores)})

    def measure_peaks(self) -> None:
        for name in TYPES:
            for isa in self.instructions:
                for threads in self.threads:
                    self.peak(name, isa, threads)

    def peak(self, name: str, isa: str, threads: int) -> float:
        """Measured now."""
        rate = self._run(self._program(TYPES[name], isa), threads, "peak")
        self.peaks[name, isa, threads] = max(rate, self.peaks.get((name, isa, threads), 0.0))
        return rate

    def measure_bandwidths(self) -> None:
        for level in self.levels:
            for threads in self.threads:
                rate = self._run(self._program("float", NATIVE), threads, "read", level.probe)
                self.bandwidths[level.name, threads] = max(rate, self.bandwidths.get((level.name, threads), 0.0))

    def level(self, footprint: float) -> Level:
        """The first level that so many bytes fit into."""
        return next((level for level in self.levels if footprint <= level.size), self.levels[-1])

    def as_json(self) -> dict[str, Any]:
        return {
            **{key: value for key, value in self.facts.items() if key != "flags"},
            "levels": {level.name: level.size for level in self.levels},
            "peaks_gflops": [[*key, rate] for key, rate in self.peaks.items()],
            "bandwidths_gbytes": [[*key, rate] for key, rate in self.bandwidths.items()],
        }

    def _program(self, real: str, isa: str) -> Path:
        return self.folder / f"machine-{real}-{isa}"

    def _run(self, program: Path, threads: int, task: str, *arguments: int) -> float:
        cores = self.cores[:threads]
        run = subprocess.run(
            [program, task, str(threads), *map(str, arguments)], check=True, capture_output=True, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
        return float(run.stdout)


def _levels(cores: int) -> list[Level]:
    """The caches of data that one core sees, as the kernel lists them, and main memory. The last cache is shared."""
    sizes: dict[int, int] = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (index / "type").read_text().strip() != "Instruction":
            text = (index / "size").read_text().strip()
            sizes[int((index / "level").read_text())] = int(text[:-1]) << {"K": 10, "M": 20}[text[-1]]
    levels = []
    before = 0
    for number, size in sorted(sizes.items()):
        share = size // 2 // (cores if number > 2 else 1)
        levels.append(Level(f"L{number}", size, max(2 * before, min(share, 8 * before)) if before else share))
        before = size
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 // cores
    return [*levels, Level("memory", 1 << 62, max(_SMALLEST, min(_LARGEST, 4 * before, free)))]


def facts() -> dict[str, Any]:
    """What the system says of itself."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = fields.get("flags", "").split()
    isa = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), platform.machine())
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": fields.get("model name", platform.processor()),
        "isa": isa,
        "flags": flags,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {},
    }
