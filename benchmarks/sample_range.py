"""Are samples where the data is? Each flow, trained lightly, and how far beyond the data its samples go.

python benchmarks/learning.py --data FOLDER --samples [--flows PATTERN]
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import diffeo
import numpy as np
from side_by_side import SETS, Pair, read

FLOWS: dict[str, dict[str, Any]] = {
    "nice": {}, "realnvp": {}, "glow": {}, "made": {}, "made, mixture": {"conditional": "mixture"}, "maf": {},
    "maf, mixture": {"components": 8}, "iaf": {}, "planar": {}, "radial": {}, "cdf_flow": {}, "spline_coupling": {},
    "spline_autoregressive": {},
}  # fmt: skip
DRAWS, EPOCHS, FAR = 100_000, 5, 100.0  # FAR: in ranges of the data; no sample should be beyond


def student() -> Pair:
    """Heavy tails, 4 columns."""
    return np.random.default_rng(0).standard_t(3, size=(20_000, 4)).astype(np.float32), None


def beyond(x: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Of each sample the largest distance to the data's interval of a column, in lengths of it; inf: not finite."""
    low, high = x.min(0).astype(float), x.max(0).astype(float)
    far = np.maximum(low - samples, samples - high).clip(0) / (high - low)
    return np.where(np.isfinite(far), far, np.inf).max(1)


def trained(make: str, options: dict[str, Any], train: Pair, validation: Any = 0.1, seed: int = 1) -> diffeo.Flow:
    x, context = train
    made: diffeo.Flow = getattr(diffeo, make)(
        dim=x.shape[1], context_dim=0 if context is None else context.shape[1], seed=seed, **options
    )
    made.fit(x, context, validation=validation, max_epochs=EPOCHS, seed=seed, progress=False, threads=1)
    return made


def draw(flow: diffeo.Flow, context: np.ndarray | None) -> np.ndarray:
    """Given the contexts of the data, from the first row on."""
    given = None if context is None else np.resize(context, (DRAWS, context.shape[1]))
    return np.asarray(flow.sample(DRAWS, given, seed=1), float)


def run(folder: Path, pattern: str) -> int:
    """Ends with 1 if a sample is beyond FAR ranges."""
    paths = [folder / f"{name}.h5" for name in SETS]
    sets = {path.stem: read(path).train for path in paths if path.is_file()} | {"student_t": student()}
    failed = False
    print(f"{DRAWS:,} samples after {EPOCHS} epochs: farthest beyond the data, in ranges (samples beyond {FAR:g})")
    for title, options in FLOWS.items():
        if not fnmatch.fnmatch(title, pattern):
            continue
        cells = []
        for name, (x, context) in sets.items():
            far = beyond(x, draw(trained(title.split(",")[0], options, (x, context)), context))
            failed |= bool((far > FAR).any())
            cells.append(f"{name} {far.max():.3g} ({(far > FAR).sum()})")
        print(f"{title}: " + ", ".join(cells), flush=True)
    return int(failed)
