"""Measures diffeo against other libraries, all in the same run: see docs/performance.md.

python benchmarks/run.py [--quick] [--threads N] [--write] [--cases PATTERN] [--peers NAME ...]
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import report
from cases import SLOW, Case, all_cases
from measure import HERE, ROOT, Effort, Peak, Timing, Worker, measure
from peers import PEERS

FULL = Effort(total=540.0, round=1.5, rounds=15, prepare=60.0)
QUICK = Effort(total=100.0, round=0.4, rounds=5, prepare=20.0)


def main() -> None:
    arguments = _arguments()
    effort = QUICK if arguments.quick else FULL
    cores = sorted(os.sched_getaffinity(0))[-arguments.threads :]
    if len(cores) < arguments.threads:
        raise SystemExit(f"--threads {arguments.threads}: this process may use {len(cores)} cores only")
    skipped = SLOW if arguments.quick else ()
    cases = [
        case
        for case in all_cases()
        if fnmatch.fnmatch(case.name, arguments.cases) and not any(fnmatch.fnmatch(case.name, s) for s in skipped)
    ]
    machine = _machine(arguments.threads)
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['isa']}; on core {', '.join(map(str, cores))}")
    if machine["load"] > 0.5:
        print(f"the machine is busy (load {machine['load']:.1f}): times are longer than they need to be")

    results: dict[Case, dict[str, Timing]] = {}
    order = sorted(cases, key=lambda case: case.expense)  # what cheap ones leave of their share goes to the others
    log = HERE / "results/workers.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("")
    with tempfile.TemporaryDirectory() as folder:
        peak = Peak(Path(folder), cores[0])
        peak.measure()
        workers = {m: Worker(m, cores, arguments.threads, log) for m in PEERS if m in arguments.peers}
        for module, worker in workers.items():
            if reason := worker.start():
                print(f"without {PEERS[module]}: {reason}")
            machine["versions"] |= worker.versions
        try:
            begin = time.monotonic()
            for number, case in enumerate(order):
                now = time.monotonic()
                left = effort.total - (now - begin)
                timings = measure(case, workers, peak, effort, now + max(0.0, left) / (len(cases) - number))
                results[case] = timings
                print(_progress(case, timings, time.monotonic() - now), flush=True)
        finally:
            for worker in workers.values():
                worker.stop()
    if log.stat().st_size == 0:
        log.unlink()
    machine["peak_gflops"] = peak.best

    whole_peak = peak.best * arguments.threads
    tables = {
        medians: [
            report.header(),
            *(row for case in cases for row in report.lines(case, results[case], whole_peak, medians)),
        ]
        for medians in (True, False)
    }
    print("\nminimum (median) of the rounds; ~ from fewer rows; times as fast as the fastest of the others;")
    print(f"of {whole_peak:.0f} GFLOP/s float32, counting unmasked weights only\n")
    print(report.plain(tables[True]))
    _save(machine, {case: results[case] for case in cases})
    if arguments.write:
        report.write(ROOT / "docs/performance.md", report.markdown(tables[False], machine))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures diffeo against other libraries.")
    parser.add_argument(
        "--quick", action="store_true", help="under two minutes in place of ten: fewer rounds and cases"
    )
    parser.add_argument("--threads", type=int, default=1, help="of every library: 1")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--cases", default="*", help="a pattern such as maf-6-*")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="only these")
    return parser.parse_args()


def _machine(threads: int) -> dict[str, Any]:
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
        "cores": os.cpu_count(),
        "threads": threads,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {},
    }


def _progress(case: Case, timings: dict[str, Timing], seconds: float) -> str:
    rounds = max((len(timing.rounds) for timing in timings.values()), default=0)
    notes = [
        f"{PEERS[module]}: {timing.unavailable}" if timing.unavailable else f"{PEERS[module]}: {timing.rows} rows"
        for module, timing in timings.items()
        if (timing.unavailable and module != report.OURS_C) or 0 < timing.rows < case.rows
    ]
    return f"{case.name}: {rounds} rounds in {seconds:.0f} s" + ("; " + "; ".join(notes) if notes else "")


def _save(machine: dict[str, Any], results: dict[Case, dict[str, Timing]]) -> None:
    """benchmarks/results/latest.json"""
    entries = [
        {**case.as_json(), "name": case.name, "useful_flops": case.useful_flops}
        | {"seconds": {PEERS[module]: timing.as_json() for module, timing in timings.items()}}
        for case, timings in results.items()
    ]
    (HERE / "results/latest.json").write_text(json.dumps({"machine": machine, "cases": entries}, indent=2) + "\n")


if __name__ == "__main__":
    main()
