"""docs/images/performance/growth.png: time and memory against rows, time against layers."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from cases import TASKS
from own import DEPTH_ROWS, Point

STYLES = {"log_prob": "-o", "sample": "--s"}


def draw(points: list[Point], file: Path) -> None:
    figure, (rows, layers, memory) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    flows = list(dict.fromkeys(point.flow for point in points))
    for i, flow in enumerate(flows):
        for task, style in STYLES.items():
            of = [p for p in points if (p.flow, p.task) == (flow, task)]
            by_layers = [p for p in of if p.rows == DEPTH_ROWS]
            by_rows = [p for p in of if p.rows != DEPTH_ROWS]
            line = {"color": f"C{i}", "label": f"{flow}, {TASKS[task]}", "markersize": 4}
            rows.loglog([p.rows for p in by_rows], [p.seconds for p in by_rows], style, **line)
            layers.loglog([p.layers for p in by_layers], [p.seconds for p in by_layers], style, **line)
            memory.semilogx([p.rows for p in by_rows], [p.memory / 2**10 for p in by_rows], style, **line)
    axis = [p for p in points if p.rows != DEPTH_ROWS]
    last = max(axis, key=lambda p: p.rows)
    rows.loglog([1, last.rows], [last.seconds / last.rows, last.seconds], ":", color="0.4", label="in proportion")
    deepest = max((p for p in points if p.rows == DEPTH_ROWS), key=lambda p: p.layers)
    ends = [deepest.seconds / deepest.layers, deepest.seconds]
    layers.loglog([1, deepest.layers], ends, ":", color="0.4", label="in proportion")
    layers.set_xscale("log", base=2)
    memory.set_ylim(bottom=0, top=1.3 * max(p.memory / 2**10 for p in points))
    for axes, x, y in (
        (rows, "rows", "seconds"),
        (layers, f"layers, {DEPTH_ROWS:,} rows", "seconds"),
        (memory, "rows", "KiB beyond inputs and outputs"),
    ):
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.grid(alpha=0.3)
    rows.legend(fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
    plt.close(figure)
