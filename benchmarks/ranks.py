"""How far data-parallel training goes: a step on one and on two ranks of MPI here, and what follows for more of them.

python benchmarks/ranks.py [--write]

with DIFFEO_LIBRARY, mpicc and mpirun; --write puts the tables into docs/scale.md.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/scale.md"
NETWORKS = {"MAF, d = 6, 5 x 128 x 2": (6, 5, 128), "MAF, d = 43, 5 x 512 x 2": (43, 5, 512)}
ROWS, STEPS = 1024, 40
# Bytes a second and seconds a message of two networks between machines, as their makers state them.
WIRES = {"10 Gbit/s Ethernet": (1.25e9, 30e-6), "100 Gbit/s InfiniBand": (12.5e9, 2e-6)}
RANKS = [10, 100, 1000]


def build(folder: Path) -> Path:
    program, library = folder / "ranks", Path(os.environ["DIFFEO_LIBRARY"]).resolve()
    (folder / soname(library)).symlink_to(library)
    source = ROOT / "benchmarks/ranks.c"
    subprocess.run(["mpicc", "-std=c99", "-O2", f"-I{ROOT / 'include'}", source, library, "-o", program], check=True)
    return program


def soname(library: Path) -> str:
    lines = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True).stdout.splitlines()
    return next(line.split("[")[1].rstrip("]") for line in lines if "SONAME" in line)


def measure(program: Path, ranks: int, network: tuple[int, int, int], rows: int) -> tuple[int, float, float, float]:
    """Parameters; seconds of the gradient of so many rows a rank, of the sum over ranks, of the optimizer."""
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(program.parent), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }  # fmt: skip
    command = ["mpirun", "-n", ranks, program, *network, rows, STEPS]
    done = subprocess.run([str(c) for c in command], env=environment, check=True, capture_output=True, text=True)
    count, *seconds = done.stdout.split()
    gradient, total, step = map(float, seconds)
    return int(count), gradient, total, step


def projected(ranks: int, rows: int, wire: tuple[float, float], count: int, a_row: float, step: float) -> float:
    """Seconds of a step: a ring moves 2 (R - 1) / R of the gradient through each rank, in 2 log2 R messages at best."""
    bandwidth, latency = wire
    total = 2 * (ranks - 1) / ranks * 4 * count / bandwidth + 2 * math.log2(ranks) * latency
    return a_row * rows + total + step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = build(Path(folder))
        found = {
            name: [measure(program, ranks, network, ROWS) for ranks in (1, 2)] for name, network in NETWORKS.items()
        }
    lines = [
        f"On {platform.machine()}, {os.cpu_count()} cores, one thread a rank, {ROWS} rows a rank and step; ms,",
        f"medians of {STEPS} steps:",
        "",
        "| | parameters | gradient sent | gradient, 1 rank | 2 ranks | MPI_Allreduce, 2 ranks | optimizer, new flow "
        "| rows/s, 2 ranks : 1 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, ((count, one, _, step), (_, two, total, step2)) in found.items():
        gain = 2 * (one + step) / (two + total + step2)
        lines.append(
            f"| {name} | {count:,} | {4e-6 * count:.1f} MB | {1e3 * one:.1f} | {1e3 * two:.1f} | {1e3 * total:.2f} "
            f"| {1e3 * step2:.1f} | {gain:.2f} |"
        )
    lines += [
        "",
        "Projected from one rank, for ranks on machines of their own (a share of the ideal R times as many rows/s):",
        "",
        "| | rows a rank | between machines | " + " | ".join(f"{ranks} ranks" for ranks in RANKS) + " |",
        "|---|---:|---|" + "---:|" * len(RANKS),
    ]
    for name, ((count, one, _, step), _) in found.items():
        for rows in (ROWS, 8 * ROWS):
            for wire, speed in WIRES.items():
                a_row = one / ROWS
                alone = a_row * rows + step
                shares = [alone / projected(ranks, rows, speed, count, a_row, step) for ranks in RANKS]
                lines.append(f"| {name} | {rows} | {wire} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    table = "\n".join(lines)
    print(table)
    if given.write:
        text = PAGE.read_text(encoding="utf-8")
        head, rest = text.split("<!-- ranks -->")[0], text.split("<!-- /ranks -->")[1]
        PAGE.write_text(f"{head}<!-- ranks -->\n{table}\n<!-- /ranks -->{rest}", encoding="utf-8")


if __name__ == "__main__":
    main()
