"""Measures the machine, diffeo beside other libraries, and diffeo alone, all in one run: see docs/performance.md.

python benchmarks/run.py [--quick] [--threads N] [--write] [--parts NAME ...] [--cases PATTERN] [--peers NAME ...]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import own
import report
from cases import SLOW, Case, all_cases
from machine import Machine
from measure import HERE, ROOT, Effort, Key, Timing, Worker, environment, measure
from peers import PEERS, diffeo_python

FULL = Effort(flows=810.0, round=1.5, rounds=15, prepare=60.0, call=0.8, starts=40)
QUICK = Effort(flows=120.0, round=0.3, rounds=5, prepare=40.0, call=0.1, starts=10)
PARTS = ["flows", "layers", "growth", "startup"]
FIGURE = ROOT / "docs/images/performance/growth.png"


def main() -> None:
    arguments = _arguments()
    effort = QUICK if arguments.quick else FULL
    available = sorted(os.sched_getaffinity(0), reverse=True)  # interrupts are often on the first one
    cores = available[: arguments.threads or len(available)]
    if len(cores) < arguments.threads:
        raise SystemExit(f"--threads {arguments.threads}: this process may use {len(cores)} cores only")
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), cores)
        if machine.facts["load"] > 0.5:
            print(f"the machine is busy (load {machine.facts['load']:.1f}): times are longer than they need to be")
        machine.measure_bandwidths()
        machine.measure_peaks()
        results: dict[Case, dict[Key, Timing]] = {}
        if "flows" in arguments.parts:
            results = _flows(arguments, effort, machine)
        os.environ |= environment(1)
        sys.path.insert(0, environment(1)["PYTHONPATH"])
        machine.facts["versions"] |= diffeo_python.versions()
        os.sched_setaffinity(0, cores[:1])  # programs that it starts inherit it
        layers = own.layers(effort) if "layers" in arguments.parts else []
        growth = own.growth(effort) if "growth" in arguments.parts else []
        startup = own.startup(effort) if "startup" in arguments.parts else {}
        machine.measure_peaks()
        machine.measure_bandwidths()

    several = machine.threads[-1]
    print("\n" + "\n".join(report.machine_lines(machine)))
    tables = {"machine": report.machine_table(machine)}
    if results:
        tables["flows"] = report.flows_table(results, 1, medians=False)
        if several > 1:
            tables["threads"] = report.flows_table(results, several, medians=False)
        tables["bounds"] = report.bounds_table(results, machine)
    if layers:
        tables["layers"] = report.layers_table(layers, machine)
    if growth:
        tables["growth"] = report.growth_table(growth)
    tables = {name: table for name, table in tables.items() if len(table) > 1}
    texts = {name: report.markdown(table) for name, table in tables.items()}
    texts["machine"] = "\n".join(f"- {line}" for line in report.machine_lines(machine)) + "\n\n" + texts["machine"]
    for name, table in tables.items():
        if name in ("flows", "threads"):
            table = report.flows_table(results, 1 if name == "flows" else several, medians=True)
        print(f"\n{name}\n{report.plain(table)}")
    if startup:
        texts["startup"] = report.startup_line(startup)
        print("\n" + texts["startup"])
    _save(machine, results, layers, growth, startup)
    if growth:
        _draw(growth, FIGURE if arguments.write else HERE / "results/growth.png")
    if arguments.write:
        if not results:
            del texts["machine"]  # it is about what is there already, too
        report.write(ROOT / "docs/performance.md", texts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures diffeo, alone and against other libraries.")
    parser.add_argument("--quick", action="store_true", help="some three minutes in place of twenty: a rough look")
    parser.add_argument("--threads", type=int, default=0, help="beside one; all cores if not given")
    parser.add_argument("--write", action="store_true", help="put tables and figure into docs/performance.md")
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS, help="only these")
    parser.add_argument("--cases", default="*", help="of flows, a pattern such as maf-6-*")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="only these")
    return parser.parse_args()


def _flows(arguments: argparse.Namespace, effort: Effort, machine: Machine) -> dict[Case, dict[Key, Timing]]:
    skipped = SLOW if arguments.quick else ()
    cases = [
        case
        for case in all_cases()
        if fnmatch.fnmatch(case.name, arguments.cases) and not any(fnmatch.fnmatch(case.name, s) for s in skipped)
    ]
    log = HERE / "results/workers.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    workers = {
        (peer, threads): Worker(peer, machine.cores[:threads], log)
        for threads in machine.threads
        for peer in PEERS
        if peer in arguments.peers and (threads == 1 or peer not in ("diffeo_c", "diffeo_avx2"))
    }
    results = {}
    try:
        for (peer, threads), worker in workers.items():
            if (reason := worker.start()) and threads == 1:
                print(f"without {PEERS[peer].name}: {reason}")
            machine.facts["versions"] |= worker.versions
        begin = time.monotonic()
        order = sorted(cases, key=lambda case: case.expense)  # what cheap ones leave of their share goes to the others
        for number, case in enumerate(order):
            now = time.monotonic()
            left = effort.flows - (now - begin)
            machine.measure_peaks()
            results[case] = measure(case, workers, effort, now + max(0.0, left) / (len(cases) - number))
            print(_progress(case, results[case], time.monotonic() - now), flush=True)
    finally:
        for worker in workers.values():
            worker.stop()
    if log.stat().st_size == 0:
        log.unlink()
    return {case: results[case] for case in cases}


def _progress(case: Case, timings: dict[Key, Timing], seconds: float) -> str:
    rounds = max((len(timing.rounds) for timing in timings.values()), default=0)
    notes = [
        f"{PEERS[peer].name}: {timing.unavailable or f'{timing.rows} rows'}"
        for (peer, threads), timing in timings.items()
        if threads == 1 and (timing.unavailable or timing.rows < case.rows)
    ]
    return f"{case.name}: {rounds} rounds in {seconds:.0f} s" + ("; " + "; ".join(notes) if notes else "")


def _draw(points: list[own.Point], file: Path) -> None:
    try:
        import figure
    except ImportError as error:
        print(f"no figure: {error}")
        return
    figure.draw(points, file)
    print(f"drawn: {file.relative_to(ROOT)}")


def _save(
    machine: Machine,
    results: dict[Case, dict[Key, Timing]],
    layers: list[own.LayerTime],
    growth: list[own.Point],
    startup: dict[str, list[float]],
) -> None:
    """benchmarks/results/latest.json"""
    flows: list[dict[str, Any]] = []
    for case, timings in results.items():
        operations, reading = case.work.least(machine)
        flows.append(
            case.as_json()
            | {"name": case.name, "flops": case.work.flops}
            | {"weight_bytes": case.work.weight_bytes, "row_bytes": case.work.row_bytes}
            | {"least_seconds_operations": operations, "least_seconds_bytes": reading}
            | {"seconds": [{"peer": peer, "threads": n} | timing.as_json() for (peer, n), timing in timings.items()]}
        )
    found = {"machine": machine.as_json(), "flows": flows}
    found["layers"] = [
        {"layer": time.layer.title, "dim": time.layer.dim, "task": time.task, "rows": time.work.rows}
        | {"seconds": time.seconds, "flops": time.work.flops}
        | {"weight_bytes": time.work.weight_bytes, "row_bytes": time.work.row_bytes}
        for time in layers
    ]
    found["growth"] = own.points_json(growth)
    found["startup"] = startup
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results/latest.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
