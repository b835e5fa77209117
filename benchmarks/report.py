"""Results as tables for people, in a terminal and in docs/performance.md. Each is a list of rows, the header first."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TypeAlias

import own
from cases import TASKS, Case, Work
from machine import AVX2, NATIVE, SHORT, Machine
from measure import Key, Timing
from peers import PEERS

Table: TypeAlias = list[list[str]]
Results: TypeAlias = dict[Case, dict[Key, Timing]]
OTHERS = [peer for peer in PEERS if not PEERS[peer].ours]
DIRECTIONS = {"to_noise": "data to noise", "from_noise": "noise to data"}


def seconds_text(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-9:.3g} ns"


def bytes_text(size: float) -> str:
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} B"


def machine_lines(machine: Machine) -> list[str]:
    facts = machine.facts
    versions = ", ".join(f"{name} {version}" for name, version in sorted(facts["versions"].items()))
    return [
        f"{facts['date']}, {facts['cpu']}, {facts['cores']} cores, {facts['isa']}",
        f"{versions}, Python {facts['python']}",
    ]


def machine_table(machine: Machine) -> Table:
    """Of one core and of all."""
    table = [["", *(_threads(n) for n in machine.threads)]]
    for name, isa in dict.fromkeys((name, isa) for name, isa, _ in machine.peaks):
        rates = [f"{machine.peaks[name, isa, n]:.0f} GFLOP/s" for n in machine.threads]
        table.append([f"multiply-adds, {name}, {SHORT.get(isa) or machine.facts['isa']}", *rates])
    for level in machine.levels:
        rates = [f"{machine.bandwidths[level.name, n]:.0f} GB/s" for n in machine.threads]
        size = f" ({bytes_text(level.size)})" if level is not machine.levels[-1] else ""
        table.append([f"reading of {level.name}{size}", *rates])
    return table


def flows_table(results: Results, threads: int, medians: bool) -> Table:
    """Ours and those of the others; single rows from Python and from C."""
    table = [["", PEERS["diffeo"].name, *(PEERS[peer].name for peer in OTHERS), "times as fast"]]
    for case, timings in results.items():
        others = [timings.get((peer, threads)) for peer in OTHERS]
        fastest = min((t.minimum for t in others if t and t.minimum), default=None)
        for peer, place in (("diffeo", ", from Python" if case.rows == 1 else ""), ("diffeo_c", ", from C")):
            timing = timings.get((peer, threads))
            if timing and timing.minimum:
                ratio = f"{fastest / timing.minimum:.1f}" if fastest else ""
                cells = [_cell(t, case, medians) for t in [timing, *others]]
                table.append([case.title + place, *cells, ratio])
    return table


def bounds_table(results: Results, machine: Machine) -> Table:
    """Ours beside what the machine needs at the least."""
    most = machine.threads[-1]
    table = [["", "time", "operations", "bytes", "share", "AVX2", "share", _threads(most), "times as fast"]]
    for case, timings in results.items():
        time = _minimum(timings, "diffeo_c" if case.rows == 1 else "diffeo", 1)
        if time is None:
            continue
        work = case.work
        avx2 = _minimum(timings, "diffeo_avx2", 1)
        several = _minimum(timings, "diffeo", most) if most > 1 else None
        table.append([
            case.title, seconds_text(time), *_least(work, machine), f"{max(work.least(machine)) / time:.0%}",
            seconds_text(avx2) if avx2 else "", f"{max(work.least(machine, AVX2)) / avx2:.0%}" if avx2 else "",
            seconds_text(several) if several else "", f"{time / several:.2f}" if several else "",
        ])  # fmt: skip
    return table


def layers_table(times: list[own.LayerTime], machine: Machine) -> Table:
    """For each row of a batch."""
    table = [["", "direction", "time", "multiply-adds", "operations", "bytes", "share"]]
    for found in times:
        rows, layer = found.work.rows, found.layer
        least = found.work.least(machine)
        table.append([
            f"{layer.title}, d = {layer.dim}", DIRECTIONS[found.task], seconds_text(found.seconds / rows),
            f"{layer.weights:,}", *_least(found.work, machine, rows), f"{max(least) / found.seconds:.0%}",
        ])  # fmt: skip
    return table


def growth_table(points: list[own.Point]) -> Table:
    """Some points of the figure: time for each row and layer, and memory."""
    table = [["", "rows", "layers", "time", "for each row and layer", "memory"]]
    for p in points:
        if p.rows in (1, 1_000_000) or (p.layers == 64 and p.rows == own.DEPTH_ROWS):
            each = seconds_text(p.seconds / p.rows / p.layers)
            name = f"{p.flow}, {TASKS[p.task]}"
            table.append([name, f"{p.rows:,}", str(p.layers), seconds_text(p.seconds), each, bytes_text(p.memory)])
    return table


def startup_line(parts: dict[str, list[float]]) -> str:
    m = {name: seconds_text(seconds) for name, seconds in own.startup_median(parts).items()}
    return (
        f"From the start of a C program to its first log-density: {m['total']} (median of {len(parts['first'])} "
        f"processes), of which opening the library takes {m['opening']}, loading the flow (MAF, d = 6) {m['loading']} "
        f"and the first call {m['first']}."
    )


def plain(table: Table) -> str:
    """Columns aligned with spaces."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    cells = (
        [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        for row in table
    )
    return "\n".join("  ".join(row).rstrip() for row in cells)


def markdown(table: Table) -> str:
    head, *body = table
    rows = [head, ["---", *("---:" for _ in head[1:])], *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def write(page: Path, texts: dict[str, str]) -> None:
    """Replace what is between the markers of each name, <!-- name --> and <!-- /name -->."""
    content = page.read_text()
    for name, text in texts.items():
        markers = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        content, found = markers.subn(partial(_between, text), content)
        if found != 1:
            raise SystemExit(f"{page} must have the markers <!-- {name} --> and <!-- /{name} --> once")
    page.write_text(content)


def _between(text: str, match: re.Match[str]) -> str:
    return f"{match[1]}{text}\n{match[2]}"


def _threads(n: int) -> str:
    return "one thread" if n == 1 else f"{n} threads"


def _minimum(timings: dict[Key, Timing], peer: str, threads: int) -> float | None:
    timing = timings.get((peer, threads))
    return timing.minimum if timing else None


def _least(work: Work, machine: Machine, rows: int = 1) -> list[str]:
    """Seconds for the operations, and for the bytes and from where; of each of so many rows."""
    operations, reading = work.least(machine, NATIVE)
    return [seconds_text(operations / rows), f"{seconds_text(reading / rows)} ({work.level(machine).name})"]


def _cell(timing: Timing | None, case: Case, medians: bool) -> str:
    if timing is None or timing.minimum is None:
        return "n/a"
    estimated = "~" if timing.rows < case.rows else ""
    text = estimated + seconds_text(timing.minimum)
    return text + (f" ({seconds_text(float(timing.as_json()['median']))})" if medians else "")
