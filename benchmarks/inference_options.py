"""Which learning rate and schedule variational inference begins with: see docs/objectives.md.

python benchmarks/inference_options.py [--seeds 2] [--write]

Every combination of seven densities of Tests/inference, three flows and some settings; what has been computed is kept
in benchmarks/results and not done again. A cell of the table is by how many nats the ELBO of fresh samples is below the
best of the settings, for the same density, flow and seed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import diffeo
import learning

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "Tests/inference"))
import targets  # noqa: E402

RESULTS = ROOT / "benchmarks/results/inference_options.jsonl"
POSTERIORS = ("eight_schools", "garch", "sblrc", "nes1980")
FLOWS = {
    "RealNVP": lambda dim, seed: diffeo.realnvp(dim, transforms=6, hidden=(32, 32), seed=seed),
    "IAF": lambda dim, seed: diffeo.iaf(dim, transforms=3, hidden=(32, 32), seed=seed),
    "spline couplings": lambda dim, seed: diffeo.spline_coupling(dim, transforms=4, hidden=(32, 32), seed=seed),
}
SETTINGS: list[dict[str, Any]] = [
    {"lr": 1e-3, "schedule": "constant"},
    {"lr": 2e-3, "schedule": "cosine"},
    {"lr": 5e-3, "schedule": "constant"},
    {"lr": 5e-3, "schedule": "cosine"},
    {"lr": 1e-2, "schedule": "cosine"},
    {"lr": 5e-3, "schedule": "cosine", "ema_decay": 0.99},
    {"lr": 5e-3, "schedule": "cosine", "clip_quantile": 0.0},
]
STEPS, SAMPLES = 2000, 20_000


def densities() -> dict[str, targets.Target]:
    known = dict(targets.KNOWN)
    return known | {
        name.split("-")[0]: t for name, t in targets.posteriors().items() if name.split("-")[0] in POSTERIORS
    }


def elbo(target: targets.Target, flow: str, setting: dict[str, Any], seed: int) -> float:
    trained = FLOWS[flow](target.dim, seed)
    trained.fit_target(target, steps=STEPS, seed=seed, threads=1, progress=False, **setting)
    return float(diffeo.importance(trained, target, SAMPLES, seed=77).log_weights.mean())


def table(found: dict[str, float]) -> list[list[str]]:
    """Mean, median and worst over densities, flows and seeds, of those that all settings have."""
    short: dict[str, list[float]] = {json.dumps(setting): [] for setting in SETTINGS}
    cells = {json.dumps(json.loads(name)[:3]) for name in found}
    complete = 0
    for cell in cells:
        values = [found.get(json.dumps([*json.loads(cell), setting])) for setting in SETTINGS]
        if None in values:
            continue
        complete += 1
        for setting, value in zip(SETTINGS, values, strict=True):
            short[json.dumps(setting)].append(max(values) - value)
    rows = [[f"nats below the best, {complete} cells", "mean", "median", "worst"]]
    for setting in SETTINGS:
        values = short[json.dumps(setting)]
        text = ", ".join(f"{name} {value}" for name, value in setting.items())
        rows.append([text, *(f"{f(values):.3f}" for f in (statistics.mean, statistics.median, max))])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the table into docs/objectives.md")
    given = parser.parse_args()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    found = {json.dumps(cell): value for cell, value in map(json.loads, lines)}
    for seed, (name, target), flow, setting in itertools.product(
        range(1, given.seeds + 1), densities().items(), FLOWS, SETTINGS
    ):
        cell = [name, flow, seed, setting]
        if json.dumps(cell) in found:
            continue
        found[json.dumps(cell)] = elbo(target, flow, setting, seed)
        with RESULTS.open("a") as file:
            file.write(json.dumps([cell, found[json.dumps(cell)]]) + "\n")
        print(*cell, found[json.dumps(cell)], flush=True)
    markdown = learning.markdown(table(found))
    print(markdown)
    if given.write:
        learning.write(markdown, "inference-options", ROOT / "docs/objectives.md")


if __name__ == "__main__":
    main()
