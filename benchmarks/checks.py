"""What the warnings of a training are worth: see docs/learning.md, "Warnings".

python benchmarks/checks.py [--data FOLDER] [--write]

Minutes. Without data the trainings that may overfit are those on rows that are drawn here.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import diffeo
import h5py
import learning
import numpy as np
from diffeo import _checks

FLOWS = "maf", "realnvp", "spline_autoregressive"
RATIOS = 1, 2, 3, 5, 10, 20, 50, 200  # of the standard deviation with a row far out to that without
LEVELS = 2, 5, 10, 20, 50, 100, 1000  # from -3 to 3 standard deviations
SETS = "gw150914_posterior", "magic", "cms_upsilon", "htru2", "power_6months", "gaia_dr3_g10"
TRAININGS = (5e-3, 2000), (1e-3, 500), (5e-3, 500)  # rate, rows: few, so that many overfit
EPOCHS, TEST_ROWS, SEED = 45, 1500, 2
LOSS = 0.05  # nats below the best test value, for five epochs or more: a training that overfits

Table = list[list[str]]


def moons(rows: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    angle, low = random.uniform(0, np.pi, rows), random.random(rows) < 0.5
    x = np.where(low, 1 - np.cos(angle), np.cos(angle))
    y = np.where(low, 0.5 - np.sin(angle), np.sin(angle))
    return np.stack([x, y], axis=1) + random.normal(0, 0.1, (rows, 2))


def trained(name: str, x: np.ndarray, val: np.ndarray) -> tuple[diffeo.Flow, diffeo.History]:
    flow = getattr(diffeo, name)(2, hidden=(64, 64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", diffeo.TrainingWarning)
        training = {"max_epochs": 40, "patience": 0, "lr": 3e-3, "seed": 1, "threads": 1, "progress": False}
        return flow, flow.fit(x, validation=val, **training)


def outliers() -> Table:
    """Test log-likelihood of moons, where one row of 5,000 is far out."""
    x, val, test = moons(5000, 1), moons(1000, 2), moons(10_000, 3)
    table = [["standard deviation, times", *FLOWS]]
    for ratio in RATIOS:
        y = x.copy()
        y[7] += x.std(axis=0) * np.sqrt(len(x) * (ratio**2 - 1))
        table.append([str(ratio), *(f"{trained(name, y, val)[0].log_prob(test).mean():.3f}" for name in FLOWS)])
    return table


def lattices() -> Table:
    """Validation log-likelihood above that of the normal distribution which was rounded."""
    entropy = np.log(2 * np.pi * np.e)
    table = [["steps in six standard deviations", "commonest value", *FLOWS]]
    for levels in LEVELS:
        x, val = (
            np.round(np.random.default_rng(seed).normal(size=(rows, 2)) * levels / 6) * 6 / levels
            for rows, seed in ((10_000, 1), (1000, 2))
        )
        share = np.unique(x[:, 0], return_counts=True)[1].max() / len(x)
        gains = [f"{trained(name, x, val)[1].best_log_prob + entropy:+.3f}" for name in FLOWS]
        table.append([str(levels), f"{100 * share:.1f} %", *gains])
    return table


def sets(folder: Path | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to train on and to test with."""
    for name in SETS if folder else ():
        with h5py.File(folder / f"{name}.h5") as file:
            yield file["train"][:8000], file["test"][:TEST_ROWS]
    yield moons(8000, 1), moons(TEST_ROWS, 3)
    random = np.random.default_rng(0)
    yield random.normal(size=(8000, 5)), random.normal(size=(TEST_ROWS, 5))
    yield random.standard_t(3, size=(8000, 4)), random.standard_t(3, size=(TEST_ROWS, 4))


def fall(test: np.ndarray, since: int, now: int) -> float:
    """Of the five epochs before `now` below the five around `since`."""
    return float(test[max(0, since - 2) : since + 3].mean() - test[max(0, now - 5) : now].mean())


def overfitting(folder: Path | None) -> Table:
    """How often it is said, and how often the test rows agree; they are no part of the rule."""
    counts = {patience: np.zeros(5, int) for patience in (10, 0)}
    for rate, rows in TRAININGS:
        for x, test in sets(folder):
            for name in FLOWS:
                flow = getattr(diffeo, name)(x.shape[1], hidden=(32, 32), seed=SEED)
                options = {
                    "max_epochs": EPOCHS,
                    "patience": 0,
                    "lr": rate,
                    "batch_size": 128,
                    "seed": SEED,
                    "threads": 1,
                }
                trainer = diffeo.Trainer(flow, x[:rows].astype(np.float32), **options)
                history, seen, said = diffeo.History(), [], None
                for report in trainer:
                    history._append(report)
                    seen.append(float(trainer.current.log_prob(test).mean()))
                    if said is None and _checks.worsening(history):
                        said = report.epoch
                values = np.array(seen)
                for patience, count in counts.items():
                    count += judged(values, history, said, patience)
    head = ["patience", "trainings", "overfit", "of these warned", "warned", "of these the test rose"]
    return [head, *([str(patience), *map(str, count)] for patience, count in counts.items())]


def judged(test: np.ndarray, history: diffeo.History, said: int | None, patience: int) -> list[int]:
    """Of one training: 1; whether it overfits; is warned of and does; is warned of; is, and the test rose."""
    validation = np.array(history.validation_log_prob)
    since = [n - int(validation[: n + 1].argmax()) for n in range(len(validation))]
    end = next((n + 1 for n, epochs in enumerate(since) if patience and epochs >= patience), len(test))
    peak = int(test[:end].argmax())
    overfits = end - 1 - peak >= 5 and fall(test, peak, end) > LOSS
    warned = said is not None and said <= end
    rose = warned and fall(test, int(np.argmax(history.validation_robust_log_prob[:said])), said or 0) <= 0
    return [1, int(overfits), int(overfits and warned), int(warned), int(rose)]


def shown(tables: dict[str, Table], style: Callable[[Table], str]) -> str:
    return "\n".join(f"*{title}*\n\n{style(table)}" for title, table in tables.items())


def main() -> int:
    parser = argparse.ArgumentParser(description="What the warnings of a training are worth.")
    parser.add_argument("--data", type=Path, default=os.environ.get("DIFFEO_DATA"), help="folder, or DIFFEO_DATA")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/learning.md")
    given = parser.parse_args()
    folder = given.data if given.data and Path(given.data).is_dir() else None
    if folder is None:
        print(f"no data at {given.data}: real data is left out")
    tables = {
        "One row of 5,000 far out: mean test log-likelihood of two moons, in nats": outliers(),
        "Rounded normal numbers: validation log-likelihood above the truth, in nats": lattices(),
        "Validation worsens, counts of trainings": overfitting(folder),
    }
    print(shown(tables, learning.plain))
    if given.write:
        learning.write(shown(tables, learning.markdown), "warnings")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
