"""Flows trained in several ways on the first rows of data sets: what they learn is kept, and makes tables of gains.

Used by initial_weights.py, clipping.py and scales.py.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffeo
import h5py
import learning
import numpy as np

FLOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "realnvp": ("realnvp", {}),
    "maf": ("maf", {}),
    "spline_autoregressive": ("spline_autoregressive", {}),
    "made, mixture": ("made", {"conditional": "mixture"}),
    "glow": ("glow", {}),
    "spline_coupling": ("spline_coupling", {}),
}

Array = np.ndarray
Key = tuple[Any, ...]
Parts = tuple[learning.Rows, learning.Rows, learning.Rows]  # train, validation, test


@dataclass(frozen=True)
class Stage:
    """What is trained; rows and epochs are the most that are used."""

    sets: list[str]
    flows: list[str]
    ways: list[str]
    seeds: list[int]
    rows: int = 10_000
    epochs: int = 15
    training: dict[str, Any] = field(default_factory=dict)  # not as in learning.TRAINING
    each_flow: bool = False  # the table has every flow, too

    def key(self, name: str, flow: str, way: str, seed: int) -> Key:
        return (name, self.rows, self.epochs, json.dumps(self.training), flow, way, seed)

    def trainings(self) -> Iterable[tuple[str, str, str, int]]:
        """Set, flow, way, seed: those of a seed together, that a run which is ended early has whole pairs."""
        every = itertools.product(self.seeds, self.sets, self.flows, self.ways)
        return ((name, flow, way, seed) for seed, name, flow, way in every)


@dataclass(frozen=True)
class Trials:
    """Ways of training, beside one of them, in stages.

    `train` makes the flow and the options of `fit` of a way, given a new flow and its seed.
    """

    name: str  # of the file of results, and of the markers in docs/learning.md
    reference: str
    stages: dict[str, Stage]
    train: Callable[[diffeo.Flow, str, int], tuple[diffeo.Flow, dict[str, Any]]]
    options: Callable[[str], dict[str, Any]] = lambda way: {}  # of the flow that is made

    @property
    def results(self) -> Path:
        return learning.ROOT / f"benchmarks/results/{self.name}.jsonl"

    # ------------------------------------------------------------------------------------------ the work

    def test_log_prob(self, stage: Stage, label: str, way: str, seed: int, parts: Parts) -> float:
        """Mean over the test rows, in nats; NaN if the training failed."""
        train, val, test = parts
        name, options = FLOWS[label]
        context_dim = 0 if train.context is None else train.context.shape[1]
        options = options | self.options(way)
        flow = getattr(diffeo, name)(dim=train.x.shape[1], context_dim=context_dim, seed=seed, **options)
        flow, own = self.train(flow, way, seed)
        training = learning.TRAINING | own | stage.training | {"max_epochs": stage.epochs, "seed": seed, "threads": 1}
        try:
            flow.fit(train.x, train.context, validation=(val.x, val.context), progress=False, **training)
        except (diffeo.Error, ArithmeticError) as error:
            print(f"{label}, {way}, seed {seed}: {error}")
            return math.nan
        return float(flow.log_prob(test.x, test.context).astype(float).mean())

    def kept(self) -> dict[Key, float]:
        if not self.results.is_file():
            return {}
        return {tuple(key): value for key, value in map(json.loads, self.results.read_text().splitlines())}

    def run(self, stage: Stage, folder: Path, found: dict[Key, float]) -> None:
        parts: dict[str, Parts] = {}
        self.results.parent.mkdir(exist_ok=True)
        for name, flow, way, seed in stage.trainings():
            key = stage.key(name, flow, way, seed)
            if key in found or not (folder / f"{name}.h5").is_file():
                continue
            if name not in parts:
                parts[name] = load(folder, name, stage.rows)
            begin = time.process_time()
            found[key] = self.test_log_prob(stage, flow, way, seed, parts[name])
            print(f"{key}: {found[key]:.3f}, {time.process_time() - begin:.1f} s", flush=True)
            with self.results.open("a") as file:
                file.write(json.dumps([key, found[key]]) + "\n")

    # ------------------------------------------------------------------------------------------ the page

    def gains(self, stage: Stage, found: dict[Key, float], name: str, flows: list[str], way: str) -> Array:
        """Over the reference: of each seed the mean over flows; a seed that lacks one of them is left out."""

        def mean(which: str, seed: int) -> float:
            return float(np.mean([found.get(stage.key(name, flow, which, seed), math.nan) for flow in flows]))

        gained = [mean(way, seed) - mean(self.reference, seed) for seed in stage.seeds]
        return np.array([gain for gain in gained if math.isfinite(gain)])

    def table(self, stage: Stage, found: dict[Key, float]) -> list[list[str]]:
        """Of each set the mean over flows, and each flow if asked for."""
        ways = [way for way in stage.ways if way != self.reference]
        rows = [["set", "flow", *ways]]
        for name in stage.sets:
            groups = [([flow], flow) for flow in stage.flows] if stage.each_flow else []
            for flows, label in [*groups, (stage.flows, "all")]:
                row = [cell(self.gains(stage, found, name, flows, way)) for way in ways]
                if any(row):
                    rows.append([name, label, *row])
        return rows

    def report(self, found: dict[Key, float], markdown: bool) -> str:
        style = learning.markdown if markdown else learning.plain
        texts = []
        for name, stage in self.stages.items():
            rows = self.table(stage, found)
            if len(rows) == 1:
                continue
            first, last = stage.seeds[0], stage.seeds[-1]
            seeds = f"seed {first}" if first == last else f"seeds {first} to {last}"
            head = [f"{name}: {seeds}", f"{stage.rows:,} rows and {stage.epochs} epochs at most"]
            head += [f"{key} = {value}" for key, value in stage.training.items()]
            failed = [which for which in stage.trainings() if math.isnan(found.get(stage.key(*which), 0.0))]
            text = ", ".join(head) + (f"; {len(failed)} trainings failed: {failed}" if failed else "")
            texts.append(f"*{text}*\n\n{style(rows)}")
        return "\n".join(texts)

    def main(self, description: str) -> int:
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--data", type=Path, default=os.environ.get("DIFFEO_DATA"), help="folder, or DIFFEO_DATA")
        stages = list(self.stages)
        parser.add_argument("--stage", nargs="*", default=stages, choices=stages, help="none: only the tables")
        parser.add_argument("--write", action="store_true", help="put the tables into docs/learning.md")
        given = parser.parse_args()
        if given.data is None or not Path(given.data).is_dir():
            print(f"no data at {given.data}: name the folder with --data or DIFFEO_DATA; nothing was run")
            return 0
        found = self.kept()
        for name in given.stage:
            self.run(self.stages[name], Path(given.data), found)
        print(self.report(found, markdown=False))
        if given.write:
            learning.write(self.report(found, markdown=True), self.name.replace("_", "-"))
        return 0


def load(folder: Path, name: str, rows: int) -> Parts:
    known = {data.name: data.load for data in learning.SETS}
    columns: Callable[[h5py.File, str], learning.Rows] = known.get(name, known["magic"])
    with h5py.File(folder / f"{name}.h5") as file:
        train, val, test = (columns(file, part) for part in ("train", "val", "test"))
    return train.first(rows), val.first(rows // 5), test.first(rows)


def cell(values: Array) -> str:
    if len(values) < 2:
        return f"{values[0]:+.3f}" if len(values) else ""
    return learning.plus_minus(values, "+")
