"""Trains flows on real data from several initialisations of their networks: see docs/learning.md, "Initial weights".

python benchmarks/initial_weights.py --data FOLDER [--stage screen choose confirm clip] [--write]

Every result is kept in benchmarks/results/initial_weights.jsonl, and what is there is not trained again: remove it
for another library.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffeo
import h5py
import learning
import numpy as np

RESULTS = learning.ROOT / "benchmarks/results/initial_weights.jsonl"

# Bounds times the root of the fan-in, which counts what the mask lets through: hidden weights as Diffeo 0.1 drew them
# (He et al. 2015) or as PyTorch does, one of which the library that is used here has; and those of outputs in both.
HE, PYTORCH, OUTPUT = math.sqrt(6), 1.0, 0.01 * math.sqrt(3)

Array = np.ndarray
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Family:
    """Bounds of the uniform distributions, times 1 / sqrt(fan-in)."""

    hidden: float = HE
    bias: float = 0.0
    output: float = OUTPUT
    whole: bool = False  # fan-in counts what the mask hides, too


FAMILIES = {
    "as was": Family(),
    "as was, biases": Family(bias=1),
    "LeCun, biases": Family(hidden=math.sqrt(3), bias=1),
    "PyTorch": Family(hidden=PYTORCH, bias=1),
    "PyTorch, whole fan-in": Family(hidden=PYTORCH, bias=1, whole=True),
    "PyTorch, outputs 0": Family(hidden=PYTORCH, bias=1, output=0),
    "PyTorch, outputs 1": Family(hidden=PYTORCH, bias=1, output=1),
    "half": Family(hidden=0.5, bias=1),
}
REFERENCE = "as was"

FLOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "realnvp": ("realnvp", {}),
    "maf": ("maf", {}),
    "spline_autoregressive": ("spline_autoregressive", {}),
    "made, mixture": ("made", {"conditional": "mixture"}),
    "glow": ("glow", {}),
    "spline_coupling": ("spline_coupling", {}),
}


@dataclass(frozen=True)
class Stage:
    """What is trained; rows and epochs are the most that are used."""

    sets: list[str]
    flows: list[str]
    families: list[str]
    seeds: list[int]
    rows: int = 10_000
    epochs: int = 15
    clip_norm: float = 0.0

    def key(self, name: str, flow: str, family: str, seed: int) -> Key:
        return (name, self.rows, self.epochs, self.clip_norm, flow, family, seed)

    def trainings(self) -> Iterable[Key]:
        """Those of a seed together, that a run which is ended early has whole pairs."""
        every = itertools.product(self.sets, self.seeds, self.flows, self.families)
        return (self.key(name, flow, family, seed) for name, seed, flow, family in every)


CHOSEN_ON = ["power_6months", "magic", "htru2"]
CONFIRMED_ON = ["gw150914_posterior", "cms_upsilon", "gaia_dr3_g10"]
CANDIDATES = [REFERENCE, "LeCun, biases", "PyTorch"]
THREE = ["realnvp", "maf", "spline_autoregressive"]
STAGES = {
    "screen": Stage(CHOSEN_ON, THREE, list(FAMILIES), seeds=[1]),
    "choose": Stage(CHOSEN_ON, THREE, CANDIDATES, seeds=[1, 2, 3]),
    "confirm": Stage(CONFIRMED_ON, list(FLOWS), CANDIDATES, seeds=[1, 2, 3]),
    "clip": Stage(CONFIRMED_ON[:1], THREE, CANDIDATES, seeds=[1, 2, 3], clip_norm=5.0),
}


# ---------------------------------------------------------------------------------------------- the work


def redrawn(flow: diffeo.Flow, family: Family, seed: int) -> diffeo.Flow:
    """The same flow, the weights of its networks scaled and its hidden biases drawn; the draws of weights stay."""
    random = np.random.default_rng(seed)
    content = io.BytesIO(flow.to_bytes())
    with h5py.File(content, "r+") as file:
        del file["self_test"]  # its densities are those of the weights as they were
        for component in [file["base"], *file["layers"].values()]:
            layers = [component["network"][key] for key in sorted(component.get("network", {}), key=int)]
            for i, layer in enumerate(layers):
                weight = layer["weight"][:]
                seen = np.maximum((weight != 0).sum(1, keepdims=True), 1)  # hidden by a mask: 0 as drawn
                fan_in = np.full_like(seen, weight.shape[1]) if family.whole else seen
                is_hidden = i < len(layers) - 1
                largest = np.abs(weight * np.sqrt(seen)).max()
                drawn = min(HE, PYTORCH, key=lambda bound: abs(bound - largest)) if is_hidden else OUTPUT
                wanted = family.hidden if is_hidden else family.output
                layer["weight"][:] = weight * (wanted / drawn * np.sqrt(seen / fan_in))
                if is_hidden:
                    layer["bias"][:] = family.bias * random.uniform(-1, 1, len(weight)) / np.sqrt(fan_in[:, 0])
    return diffeo.from_bytes(content.getvalue())


def load(folder: Path, name: str, rows: int) -> tuple[learning.Rows, learning.Rows, learning.Rows]:
    known = {data.name: data.load for data in learning.SETS}
    columns: Callable[[h5py.File, str], learning.Rows] = known.get(name, known["magic"])
    with h5py.File(folder / f"{name}.h5") as file:
        train, val, test = (columns(file, part) for part in ("train", "val", "test"))
    return train.first(rows), val.first(rows // 5), test.first(rows)


def test_log_prob(key: Key, parts: tuple[learning.Rows, ...]) -> float:
    """Mean over the test rows, in nats; NaN if the training failed."""
    _, _, epochs, clip_norm, label, family, seed = key
    train, val, test = parts
    name, options = FLOWS[label]
    context_dim = 0 if train.context is None else train.context.shape[1]
    flow = getattr(diffeo, name)(dim=train.x.shape[1], context_dim=context_dim, seed=seed, **options)
    flow = redrawn(flow, FAMILIES[family], seed)
    clipping = {"clip_norm": clip_norm, "clip_quantile": 0.0}
    training = learning.TRAINING | clipping | {"max_epochs": epochs, "seed": seed, "threads": 1}
    try:
        flow.fit(train.x, train.context, validation=(val.x, val.context), progress=False, **training)
    except (diffeo.Error, ArithmeticError) as error:
        print(f"{key}: {error}")
        return math.nan
    return float(flow.log_prob(test.x, test.context).astype(float).mean())


def kept() -> dict[Key, float]:
    if not RESULTS.is_file():
        return {}
    return {tuple(key): value for key, value in map(json.loads, RESULTS.read_text().splitlines())}


def run(stage: Stage, folder: Path, found: dict[Key, float]) -> None:
    parts: dict[str, tuple[learning.Rows, ...]] = {}
    RESULTS.parent.mkdir(exist_ok=True)
    for key in stage.trainings():
        name = key[0]
        if key in found or not (folder / f"{name}.h5").is_file():
            continue
        if name not in parts:
            parts[name] = load(folder, name, stage.rows)
        begin = time.process_time()
        found[key] = test_log_prob(key, parts[name])
        print(f"{key}: {found[key]:.3f}, {time.process_time() - begin:.1f} s", flush=True)
        with RESULTS.open("a") as file:
            file.write(json.dumps([key, found[key]]) + "\n")


# ----------------------------------------------------------------------------------------------- the page


def gains(stage: Stage, found: dict[Key, float], name: str, flows: list[str], family: str) -> Array:
    """Over the reference: of each seed the mean over flows; a seed that lacks one of them is left out."""

    def mean(which: str, seed: int) -> float:
        return float(np.mean([found.get(stage.key(name, flow, which, seed), math.nan) for flow in flows]))

    gained = [mean(family, seed) - mean(REFERENCE, seed) for seed in stage.seeds]
    return np.array([gain for gain in gained if math.isfinite(gain)])


def cell(values: Array) -> str:
    if len(values) < 2:
        return f"{values[0]:+.3f}" if len(values) else ""
    return learning.plus_minus(values, "+")


def table(stage: Stage, found: dict[Key, float], each_flow: bool) -> list[list[str]]:
    """Of each set the mean over flows, and each flow if asked for."""
    families = [family for family in stage.families if family != REFERENCE]
    rows = [["set", "flow", *families]]
    for name in stage.sets:
        groups = [([flow], flow) for flow in stage.flows] if each_flow else []
        for flows, label in [*groups, (stage.flows, "all")]:
            row = [cell(gains(stage, found, name, flows, family)) for family in families]
            if any(row):
                rows.append([name, label, *row])
    return rows


def report(found: dict[Key, float], markdown: bool) -> str:
    style = learning.markdown if markdown else learning.plain
    texts = []
    for name, stage in STAGES.items():
        rows = table(stage, found, each_flow=name == "confirm")
        if len(rows) == 1:
            continue
        seeds = f"seed {stage.seeds[0]}" if len(stage.seeds) == 1 else f"seeds {stage.seeds[0]} to {stage.seeds[-1]}"
        head = f"{name}: {seeds}, {stage.rows:,} rows and {stage.epochs} epochs at most, clip_norm = {stage.clip_norm}"
        failed = [key for key in stage.trainings() if math.isnan(found.get(key, 0.0))]
        if failed:
            head += f"; {len(failed)} trainings failed: {failed}"
        texts.append(f"*{head}*\n\n{style(rows)}")
    return "\n".join(texts)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains flows from several initialisations of their networks.")
    parser.add_argument("--data", type=Path, default=os.environ.get("DIFFEO_DATA"), help="folder, or DIFFEO_DATA")
    parser.add_argument("--stage", nargs="*", default=list(STAGES), choices=list(STAGES), help="none: only the tables")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/learning.md")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    if given.data is None or not Path(given.data).is_dir():
        print(f"no data at {given.data}: name the folder with --data or DIFFEO_DATA; nothing was run")
        return 0
    found = kept()
    for name in given.stage:
        run(STAGES[name], Path(given.data), found)
    print(report(found, markdown=False))
    if given.write:
        learning.write(report(found, markdown=True), "initial-weights")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
