"""Are samples where the data is? Each flow, trained lightly, and how far beyond the data its samples go.

What was found is kept in benchmarks/results/sample_range.jsonl, and what is there is not done again: remove it for
another library.

python benchmarks/learning.py --data FOLDER --samples [--write] [--flows PATTERN]
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import math
import time
from pathlib import Path
from typing import Any

import diffeo
import numpy as np
from side_by_side import HERE, SETS, Pair, read

KEPT = HERE / "results/sample_range.jsonl"

FLOWS: dict[str, dict[str, Any]] = {
    "nice": {}, "realnvp": {}, "realnvp, soft_clip": {"scale": "soft_clip"}, "glow": {},
    "glow, soft_clip": {"scale": "soft_clip"}, "glow, sigmoid": {"scale": "sigmoid"}, "made": {},
    "made, mixture": {"conditional": "mixture"}, "maf": {}, "maf, soft_clip": {"scale": "soft_clip"},
    "maf, mixture": {"components": 8}, "iaf": {}, "planar": {}, "radial": {}, "cdf_flow": {}, "spline_coupling": {},
    "spline_autoregressive": {},
}  # fmt: skip
DRAWS, EPOCHS, FAR = 100_000, 5, 100.0  # FAR: in ranges of the data; no sample should be beyond
RATES = (1e-3, 5e-3)  # that of fit, and that of the other tables

Found = dict[tuple[str, str, float], tuple[float, int]]  # flow, set, rate: farthest, samples beyond FAR


def student() -> Pair:
    """Heavy tails, 4 columns."""
    return np.random.default_rng(0).standard_t(3, size=(20_000, 4)).astype(np.float32), None


def beyond(x: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Of each sample the largest distance to the data's interval of a column, in lengths of it; inf: not finite."""
    low, high = x.min(0).astype(float), x.max(0).astype(float)
    far = np.maximum(low - samples, samples - high).clip(0) / (high - low)
    return np.where(np.isfinite(far), far, np.inf).max(1)


def trained(make: str, options: dict[str, Any], train: Pair, lr: float, seed: int = 1) -> diffeo.Flow:
    x, context = train
    made: diffeo.Flow = getattr(diffeo, make)(
        dim=x.shape[1], context_dim=0 if context is None else context.shape[1], seed=seed, **options
    )
    made.fit(x, context, lr=lr, max_epochs=EPOCHS, seed=seed, progress=False, threads=1)
    return made


def draw(flow: diffeo.Flow, context: np.ndarray | None) -> np.ndarray:
    """Given the contexts of the data, from the first row on."""
    given = None if context is None else np.resize(context, (DRAWS, context.shape[1]))
    return np.asarray(flow.sample(DRAWS, given, seed=1), float)


def kept() -> Found:
    lines = KEPT.read_text().splitlines() if KEPT.is_file() else []
    return {tuple(key): tuple(value) for key, value in map(json.loads, lines)}


def cell(found: Found, title: str, name: str) -> str:
    """The worst of the rates."""
    values = [found[title, name, rate] for rate in RATES if (title, name, rate) in found]
    if not values:
        return ""
    farthest, count = max(farthest for farthest, _ in values), max(count for _, count in values)
    text = "not finite" if math.isinf(farthest) else f"{farthest:.2g}"
    return f"{text} ({count:,})" if count else text


def run(folder: Path, pattern: str, minutes: float = math.inf) -> tuple[list[list[str]], bool]:
    """The table, and whether a sample is beyond FAR ranges; nothing new is begun after so many minutes."""
    paths = [folder / f"{name}.h5" for name in SETS]
    sets = {path.stem: read(path).train for path in paths if path.is_file()} | {"student_t": student()}
    found = kept()
    KEPT.parent.mkdir(exist_ok=True)
    end = time.monotonic() + 60 * minutes
    titles = [title for title in FLOWS if fnmatch.fnmatch(title, pattern)]
    for rate, title, name in itertools.product(RATES, titles, sets):
        if (title, name, rate) in found or time.monotonic() > end:
            continue
        x, context = sets[name]
        far = beyond(x, draw(trained(title.split(",")[0], FLOWS[title], sets[name], rate), context))
        found[title, name, rate] = value = float(far.max()), int((far > FAR).sum())
        with KEPT.open("a") as file:
            file.write(json.dumps([(title, name, rate), value]) + "\n")
        print(f"{title}, {name}, rate {rate}: {value[0]:.3g}, {value[1]} beyond", flush=True)
    rows = [["flow", *sets], *([title, *(cell(found, title, name) for name in sets)] for title in titles)]
    return rows, any(count for (title, *_), (_, count) in found.items() if title in titles)
