"""Diffeo beside zuko and flowjax: the same rows, sizes, seeds and optimizer, each library's own flows.

What the peers learnt is kept in learning_peers.json, what Diffeo did in results/side_by_side.json, and neither is
computed twice: remove the second file for another build of Diffeo.

python benchmarks/learning.py --data FOLDER --peers [--write] [--seeds N] [--minutes M]
"""

from __future__ import annotations

import importlib
import json
import math
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from peers import PEERS, Learn, Pair

HERE = Path(__file__).resolve().parent
PEERS_KEPT, OWN_KEPT = HERE / "learning_peers.json", HERE / "results/side_by_side.json"
LIBRARIES = ("zuko", "flowjax")
FLOWS = {"realnvp": 8, "maf": 5, "spline_coupling": 5, "spline_autoregressive": 3}  # transforms: Diffeo's defaults
CONDITIONAL = {"htru2"}  # given the label
SETS = ("power_6months", "magic", "htru2", "gw150914_posterior", "cms_upsilon", "gaia_dr3_g10")

# Short, so that the peers fit into an hour of one core. Rows that make no whole batch are left out.
SETTING: dict[str, Any] = {
    "rows": 7_168, "validation_rows": 1_000, "test_rows": 5_000, "hidden": [128, 128], "lr": 5e-3,
    "batch_size": 256, "max_epochs": 10, "patience": 10, "clip_quantile": 0.9,
}  # fmt: skip

Key = tuple[str, str, int, str]  # set, flow, seed, library


@dataclass(frozen=True)
class Data:
    """Columns standardised by the training rows, for everybody."""

    train: Pair
    validation: Pair
    test: Pair
    log_std: float  # sum over columns: what a log-density of the columns as they were is lower by

    def task(self, flow: str, seed: int) -> Learn:
        own = {key: SETTING[key] for key in ("lr", "batch_size", "max_epochs", "patience", "clip_quantile")}
        return Learn(flow, FLOWS[flow], tuple(SETTING["hidden"]), self.train, self.validation, self.test, seed, **own)


def read(path: Path) -> Data:
    name = path.stem
    counts = {"train": SETTING["rows"], "val": SETTING["validation_rows"], "test": SETTING["test_rows"]}
    with h5py.File(path) as file:
        counts["train"] = min(counts["train"], len(file["train"])) // SETTING["batch_size"] * SETTING["batch_size"]
        x = {part: file[part][:count].astype(float) for part, count in counts.items()}
        labels = {part: file[f"{part}_label"][:count] for part, count in counts.items()} if name in CONDITIONAL else {}
    mean, std = x["train"].mean(0), x["train"].std(0)
    parts: list[Pair] = [
        (((x[part] - mean) / std).astype(np.float32), labels[part].astype(np.float32)[:, None] if labels else None)
        for part in counts
    ]
    return Data(*parts, float(np.log(std).sum()))


def learn(library: str, data: Data, name: str, flow: str, seed: int) -> dict[str, Any]:
    """One cell of the table; what failed has no test value, but a failure."""
    module = importlib.import_module(f"peers.{PEERS[library].module}")
    cell: dict[str, Any] = {"library": library, "version": module.versions()[library]}
    cell |= {"set": name, "flow": flow, "seed": seed}
    begin = time.process_time()
    found = module.learn(data.task(flow, seed))
    test = float(found.log_prob.astype(float).mean()) - data.log_std
    cell |= {"test": test if math.isfinite(test) else None, "epochs": found.epochs, "best_epoch": found.best_epoch}
    return cell | {"cpu_seconds": round(time.process_time() - begin, 1)}


def kept() -> dict[Key, dict[str, Any]]:
    cells = {}
    for path in (PEERS_KEPT, OWN_KEPT):
        content = json.loads(path.read_text()) if path.is_file() else {"setting": SETTING, "cells": []}
        if content["setting"] != SETTING:
            raise SystemExit(f"{path} was made with {content['setting']}, not with {SETTING}: remove it to begin anew")
        cells |= {(c["set"], c["flow"], c["seed"], c["library"]): c for c in content["cells"]}
    return cells


def keep(cells: dict[Key, dict[str, Any]], own: bool) -> None:
    """At once and whole: a run may be stopped at any time."""
    path = OWN_KEPT if own else PEERS_KEPT
    lines = ",\n".join("  " + json.dumps(cells[key]) for key in sorted(cells) if (key[3] == "diffeo") == own)
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(f'{{\n "setting": {json.dumps(SETTING)},\n "cells": [\n{lines}\n ]\n}}\n')
    new.replace(path)


def fill(cells: dict[Key, dict[str, Any]], sets: dict[str, Data], seeds: int, minutes: float) -> None:
    """What is missing, the first seed of all first."""
    ready = []
    for library in ("diffeo", *LIBRARIES):
        try:
            importlib.import_module(f"peers.{PEERS[library].module}").setup(1)
            ready.append(library)
        except ImportError as error:
            print(f"{library}: {error}; only what is kept of it is shown")
    end = time.monotonic() + 60 * minutes
    wanted = [(n, f, s, p) for s in range(1, seeds + 1) for n in sets for f in FLOWS for p in ready]
    for key in wanted:
        if key in cells:
            continue
        if time.monotonic() > end:
            print(f"{minutes:g} minutes are over: {sum(k not in cells for k in wanted)} cells are missing")
            return
        name, flow, seed, library = key
        cells[key] = learn(library, sets[name], name, flow, seed)
        keep(cells, library == "diffeo")
        print(json.dumps(cells[key]), flush=True)


# ----------------------------------------------------------------------------------------------- the table


def paired(values: list[float]) -> str:
    if len(values) < 2:
        return f"{np.mean(values):+.3f}" if values else ""
    return f"{np.mean(values):+.3f} ± {2 * np.std(values, ddof=1) / math.sqrt(len(values)):.3f}"


def table(cells: dict[Key, dict[str, Any]]) -> tuple[list[list[str]], str]:
    """Means over the seeds that all three have; the better of the peers is the one with the higher mean."""
    found: dict[tuple[str, str], dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for (name, flow, seed, library), cell in cells.items():
        found[name, flow][seed][library] = math.nan if cell["test"] is None else cell["test"]
    rows = [["set", "flow", "seeds", "diffeo", *LIBRARIES, "diffeo - better peer"]]
    every, columns = [], []
    for name in SETS:
        for flow in FLOWS:
            whole = [tests for tests in found[name, flow].values() if len(tests) == 1 + len(LIBRARIES)]
            if not whole:
                continue
            means = {library: float(np.mean([t[library] for t in whole])) for library in ("diffeo", *LIBRARIES)}
            better = max(LIBRARIES, key=lambda p, means=means: -math.inf if math.isnan(means[p]) else means[p])
            differences = [t["diffeo"] - t[better] for t in whole]
            rows.append([name, flow, str(len(whole)), *(f"{m:.3f}" for m in means.values()), paired(differences)])
            every.append(float(np.mean(differences)))
            columns.append(list(means.values()))
    if not every:
        return rows, "No cell has all three."
    rows.append(["mean", "", "", *(f"{m:.3f}" for m in np.mean(columns, 0)), f"{np.mean(every):+.3f}"])
    above = sum(d > 0 for d in every)
    mean = f"{np.mean(every):+.3f}"
    return rows, f"Diffeo is above the better of the two in {above} of {len(every)} cells; in the mean by {mean} nats."


def run(folder: Path, seeds: int, minutes: float) -> tuple[list[list[str]], str]:
    """The table, and a sentence on it."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, also for XLA
    paths = {name: folder / f"{name}.h5" for name in SETS}
    for path in paths.values():
        if not path.is_file():
            print(f"there is no {path.name}, skipped")
    sets = {name: read(path) for name, path in paths.items() if path.is_file()}
    cells = kept()
    fill(cells, sets, seeds, minutes)
    return table(cells)
