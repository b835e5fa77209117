"""Results as a table for people, in a terminal and in docs/performance.md, and as JSON for programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from cases import Case
from measure import Timing
from peers import PEERS

_MARKERS = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)
OURS, OURS_C = "diffeo_python", "diffeo_c"
OTHERS = [module for module in PEERS if module not in (OURS, OURS_C)]


def seconds_text(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-6:.3g} µs"


def lines(case: Case, timings: dict[str, Timing], peak: float, medians: bool) -> list[list[str]]:
    """The rows of the table for a case: two for single rows, from Python and from C."""
    fastest = min((t for m in OTHERS if (t := timings[m].minimum if m in timings else None)), default=None)
    found = []
    for module, suffix in ((OURS, ""), (OURS_C, ", from C")):
        timing = timings.get(module)
        if timing is None or timing.minimum is None:
            continue
        label = case.title + (suffix or (", from Python" if case.rows == 1 else ""))
        ratio = f"{fastest / timing.minimum:.1f}" if fastest else ""
        rate = case.useful_flops / timing.minimum * 1e-9 if case.useful_flops and case.rows > 1 else None
        fraction = f"{rate / peak:.0%}" if rate and peak else ""
        others = [_cell(timings.get(m), case, medians) for m in OTHERS]
        found.append([label, _cell(timing, case, medians), *others, ratio, fraction])
    return found


def header() -> list[str]:
    return ["", PEERS[OURS], *(PEERS[module] for module in OTHERS), "times as fast", "of peak"]


def plain(rows: list[list[str]]) -> str:
    """Columns aligned with spaces."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    cells = (
        [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))] for row in rows
    )
    return "\n".join("  ".join(row).rstrip() for row in cells)


def markdown(rows: list[list[str]], machine: dict[str, Any]) -> str:
    """The text between the markers of docs/performance.md."""
    head, *body = rows
    table = [head, ["---", *("---:" for _ in head[1:])], *body]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(machine["versions"].items()))
    threads = "one thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    facts = [
        f"- {machine['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['isa']}, {threads}",
        f"- float32 multiply-add peak of a core: {machine['peak_gflops']:.0f} GFLOP/s",
        f"- {versions}, Python {machine['python']}",
    ]
    return "\n".join(facts) + "\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in table) + "\n"


def write(page: Path, text: str) -> None:
    """Replace what is between the markers of the page."""
    content, found = _MARKERS.subn(lambda match: match[1] + text + match[2], page.read_text())
    if found != 1:
        raise SystemExit(f"{page} must have the markers <!-- results --> and <!-- /results --> once")
    page.write_text(content)


def _cell(timing: Timing | None, case: Case, medians: bool) -> str:
    if timing is None or timing.minimum is None:
        return "n/a"
    estimated = "~" if timing.rows < case.rows else ""
    text = estimated + seconds_text(timing.minimum)
    return text + (f" ({seconds_text(float(timing.as_json()['median']))})" if medians else "")
