"""What is measured of diffeo alone, from C: layers, growth with rows and layers, start-up."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from calls import Calls, folder
from cases import GROWTH, GROWTH_LAYERS, GROWTH_ROWS, Case, Layer, Work, all_layers
from measure import Effort
from peers import diffeo_python

LAYER_ROWS = 1024
DEPTH_ROWS = 1024


@dataclass(frozen=True)
class LayerTime:
    layer: Layer
    task: str
    seconds: float  # of LAYER_ROWS rows
    work: Work


def layers(effort: Effort) -> list[LayerTime]:
    found = []
    for layer in all_layers():
        file = _layer_file(layer)
        for task in ("to_noise", "from_noise"):
            calls = Calls(file, task, LAYER_ROWS)
            found.append(LayerTime(layer, task, calls.best(effort.call), layer.work(LAYER_ROWS)))
            calls.close()
    return found


def _layer_file(layer: Layer) -> Path:
    import diffeo

    given = dict(layer.arguments)
    if "transformer" in given:  # the defaults are those that were counted
        given["transformer"] = getattr(diffeo, given["transformer"])() if given["transformer"] else None
    flow = getattr(diffeo.Spec(layer.dim), layer.method)(**given).build()
    rows = np.random.default_rng(1).gumbel(0.0, 0.8, (256, layer.dim))  # some steps, so that no weights are as new
    flow.fit(rows, batch_size=64, max_epochs=2, patience=0, lr=0.02, validation=0.0, progress=False)
    file = folder() / "layer.h5"
    flow.save(file)
    return file


@dataclass(frozen=True)
class Point:
    """Of a flow by its title, with so many layers, on so many rows."""

    flow: str
    task: str
    layers: int
    rows: int
    seconds: float
    memory: int  # bytes that the calls took


def growth(effort: Effort) -> list[Point]:
    points = []
    for title, case in GROWTH.items():
        for task in ("log_prob", "sample"):
            points += [_point(title, case, task, case.transforms, rows, effort) for rows in GROWTH_ROWS]
            points += [_point(title, case, task, depth, DEPTH_ROWS, effort) for depth in GROWTH_LAYERS]
    return points


def _point(title: str, case: Case, task: str, depth: int, rows: int, effort: Effort) -> Point:
    calls = Calls(_flow_file(case, depth), task, rows)
    seconds = calls.best(effort.call)
    calls.close()
    return Point(title, task, depth, rows, seconds, calls.memory)


def _flow_file(case: Case, depth: int) -> Path:
    file = folder() / f"{case.architecture}-{depth}.h5"
    if not file.exists():
        diffeo_python.flow(case.architecture, depth, case.dim, case.hidden).save(file)
    return file


def startup(effort: Effort) -> dict[str, list[float]]:
    """Seconds of the parts of a start, each in a fresh process, the files in the page cache."""
    case = GROWTH["MAF"]
    file = _flow_file(case, case.transforms)
    parts: dict[str, list[float]] = {"opening": [], "loading": [], "first": []}
    for _ in range(effort.starts):
        calls = Calls(file, "log_prob", 1)
        for name, found in parts.items():
            found.append(getattr(calls, name))
        calls.close()
    return parts


def startup_median(parts: dict[str, list[float]]) -> dict[str, float]:
    total = [sum(times) for times in zip(*parts.values(), strict=True)]
    return {name: statistics.median(times) for name, times in parts.items()} | {"total": statistics.median(total)}


def points_json(points: list[Point]) -> list[dict[str, Any]]:
    return [asdict(point) for point in points]
