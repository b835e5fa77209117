"""Trains flows on real data with gradients cut in several ways: see docs/learning.md, "Clipping".

python benchmarks/clipping.py --data FOLDER [--stage choose confirm] [--write]

Every result is kept in benchmarks/results/clipping.jsonl, and what is there is not trained again: remove it for another
library.
"""

from __future__ import annotations

from typing import Any

import diffeo
from trials import Stage, Trials

REFERENCE = "none"
WAYS = {
    REFERENCE: {"clip_norm": 0.0, "clip_quantile": 0.0},
    "norm 5": {"clip_norm": 5.0, "clip_quantile": 0.0},
    **{f"quantile {q}": {"clip_norm": 0.0, "clip_quantile": q} for q in (0.5, 0.75, 0.9, 0.95)},
}
FLOWS = ["maf", "spline_autoregressive", "realnvp", "glow"]
STAGES = {
    "choose": Stage(["htru2", "magic", "power_6months"], FLOWS, list(WAYS), seeds=[1, 2]),
    "confirm": Stage(
        ["gw150914_posterior", "cms_upsilon", "gaia_dr3_g10"], FLOWS, list(WAYS), seeds=[1, 2], each_flow=True
    ),
}


def train(flow: diffeo.Flow, way: str, seed: int) -> tuple[diffeo.Flow, dict[str, Any]]:
    return flow, WAYS[way]


if __name__ == "__main__":
    trials = Trials("clipping", REFERENCE, STAGES, train)
    raise SystemExit(trials.main("Trains flows with gradients cut in several ways."))
