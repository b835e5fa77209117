"""Trains flows on real data from several initialisations of their networks: see docs/learning.md, "Initial weights".

python benchmarks/initial_weights.py --data FOLDER [--stage screen choose confirm clip] [--write]

Every result is kept in benchmarks/results/initial_weights.jsonl, and what is there is not trained again: remove it
for another library.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import diffeo
import h5py
import numpy as np
from trials import FLOWS, Stage, Trials

# Bounds times the root of the fan-in, which counts what the mask lets through: hidden weights as Diffeo 0.1 drew them
# (He et al. 2015) or as PyTorch does, one of which the library that is used here has; and those of outputs in both.
HE, PYTORCH, OUTPUT = math.sqrt(6), 1.0, 0.01 * math.sqrt(3)


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

CHOSEN_ON = ["power_6months", "magic", "htru2"]
CONFIRMED_ON = ["gw150914_posterior", "cms_upsilon", "gaia_dr3_g10"]
CANDIDATES = [REFERENCE, "LeCun, biases", "PyTorch"]
THREE = ["realnvp", "maf", "spline_autoregressive"]
STAGES = {
    "screen": Stage(CHOSEN_ON, THREE, list(FAMILIES), seeds=[1], training={"clip_norm": 0.0}),
    "choose": Stage(CHOSEN_ON, THREE, CANDIDATES, seeds=[1, 2, 3], training={"clip_norm": 0.0}),
    "confirm": Stage(
        CONFIRMED_ON, list(FLOWS), CANDIDATES, seeds=[1, 2, 3], training={"clip_norm": 0.0}, each_flow=True
    ),
    "clip": Stage(CONFIRMED_ON[:1], THREE, CANDIDATES, seeds=[1, 2, 3], training={"clip_norm": 5.0}),
}


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


def train(flow: diffeo.Flow, way: str, seed: int) -> tuple[diffeo.Flow, dict[str, Any]]:
    return redrawn(flow, FAMILIES[way], seed), {"clip_quantile": 0.0}


if __name__ == "__main__":
    trials = Trials("initial_weights", REFERENCE, STAGES, train)
    raise SystemExit(trials.main("Trains flows from several initialisations of their networks."))
