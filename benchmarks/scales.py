"""Trains affine flows with several scales: see docs/learning.md, "Scales".

python benchmarks/scales.py --data FOLDER [--stage choose] [--write]

Every result is kept in benchmarks/results/scales.jsonl, and what is there is not trained again: remove it for another
library. Where samples land with these scales is told by `learning.py --samples`.
"""

from __future__ import annotations

from typing import Any

import diffeo
from trials import Stage, Trials

REFERENCE = "soft_clip"
SETS = ["power_6months", "magic", "htru2", "gw150914_posterior", "cms_upsilon", "gaia_dr3_g10"]
STAGES = {
    "choose": Stage(
        SETS, ["realnvp", "maf", "glow"], [REFERENCE, "skewed_clip", "sigmoid"], seeds=[1, 2, 3], each_flow=True
    )
}


def train(flow: diffeo.Flow, way: str, seed: int) -> tuple[diffeo.Flow, dict[str, Any]]:
    return flow, {}


if __name__ == "__main__":
    trials = Trials("scales", REFERENCE, STAGES, train, options=lambda way: {"scale": way})
    raise SystemExit(trials.main("Trains affine flows with several scales."))
