"""The demo's trainings with averages of their weights: see docs/learning.md, "Averages of the weights".

python benchmarks/averages.py [--flows MAF RealNVP] [--seeds 1 2 3 4 5] [--write]

An average has no part in the steps, so that one training has all of them beside it; they are those of `ema_decay`.
Rows, flows and setting are the demo's. Needs what `make demo` needs. Every result is kept in
benchmarks/results/averages.jsonl, and what is there is not trained again: remove it for another library.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import diffeo
import learning
import numpy as np

sys.path.insert(0, str(learning.ROOT / "demo"))
import run as demo
import stars

DECAYS = [0.0, 0.99, 0.995, 0.998, 0.999]  # 0: the weights alone
RESULTS = learning.ROOT / "benchmarks/results/averages.jsonl"

Array = np.ndarray


def mean_log_prob(flow: diffeo.Flow, x: Array) -> float:
    return float(flow.log_prob(x).astype(float).mean())


def train(name: str, seed: int, train: Array, validation: Array, test: Array) -> list[dict[str, Any]]:
    """Of each decay what is reported of every epoch, and the test of the best."""
    trainer = diffeo.Trainer(
        demo.architectures(seed)[name], train, validation=validation, **demo.TRAINING | {"ema_decay": 0.0}, seed=seed,
        threads=1,
    )  # fmt: skip
    first = trainer.current.parameters().astype(float)
    averages = {decay: first.copy() for decay in DECAYS}
    curves: dict[float, list[float]] = {decay: [] for decay in DECAYS}
    best: dict[float, diffeo.Flow] = {}
    while not trainer.finished:
        report, now = trainer.step(1), trainer.current
        parameters = now.parameters()
        taken = report.steps - report.skipped_steps
        for decay, average in averages.items():
            average += (1 - min(decay, (1 + taken) / (10 + taken))) * (parameters - average)
        if report.state == "running":
            continue
        present = mean_log_prob(now, validation)
        for decay, average in averages.items():
            flow = now.with_parameters(average)
            score = mean_log_prob(flow, validation)
            if present >= score:
                flow, score = now, present
            if not curves[decay] or score > max(curves[decay]):
                best[decay] = flow
            curves[decay].append(score)
    return [
        {"flow": name, "seed": seed, "decay": decay, "curve": curves[decay], "test": mean_log_prob(best[decay], test)}
        for decay in DECAYS
    ]


def kept() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.is_file() else []


def table(found: list[dict[str, Any]]) -> str:
    """Falls and tests of each flow and seed."""
    cells = {(each["flow"], each["seed"], each["decay"]): each for each in found}
    rows = [["flow", "seed", "the weights", *(f"ema_decay {decay}" for decay in DECAYS[1:])]]
    for name, seed in sorted({key[:2] for key in cells}):
        of = [cells[name, seed, decay] for decay in DECAYS]
        rows.append([name, str(seed), *(f"{min(np.diff(each['curve'])):+.4f}; {each['test']:.3f}" for each in of)])
    return learning.markdown(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description="The demo's trainings with averages of their weights.")
    parser.add_argument("--flows", nargs="*", default=list(demo.architectures(1)), choices=list(demo.architectures(1)))
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--write", action="store_true", help="put the table of all that is there into docs/learning.md")
    given = parser.parse_args()
    RESULTS.parent.mkdir(exist_ok=True)
    parts = stars.split(stars.load())
    for seed in given.seeds:
        for name in given.flows:
            if any((each["flow"], each["seed"]) == (name, seed) for each in kept()):
                continue
            begin = time.process_time()
            found = train(name, seed, *parts)
            with RESULTS.open("a") as file:
                file.writelines(json.dumps(each) + "\n" for each in found)
            print(f"{name}, seed {seed}: {time.process_time() - begin:.0f} s", flush=True)
    print(table(kept()))
    if given.write:
        facts = f"*{time.strftime('%Y-%m-%d')}, diffeo {diffeo.__version__}*"
        learning.write(f"{facts}\n\n{table(kept())}", "averages")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
