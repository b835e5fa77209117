"""Draws docs/images/objectives/targets.png: densities of the plane, and samples of flows that were trained to them.

    DIFFEO_LIBRARY=.build/release/libdiffeo.so PYTHONPATH=bindings/python python docs/gallery_objectives.py

or `make gallery`. No data is drawn from the densities, which are those of Tests/inference/targets.py; the numbers in
titles say by how many nats the ELBO is below the log evidence, which is known, and how heavy the weights' tail is.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import diffeo
import gallery
from diffeo import plot

sys.path.append(str(Path(__file__).resolve().parents[1] / "Tests" / "inference"))

import targets  # noqa: E402

SAMPLES = 20_000
SETTING = {"steps": 2000, "lr": 5e-3, "schedule": "cosine", "seed": 1, "progress": False}


@dataclass
class Picture:
    title: str
    density: Callable
    log_evidence: float
    low: tuple
    high: tuple
    flow: Callable[[], diffeo.Flow]
    options: dict = field(default_factory=dict)
    brightest: float = 1.0  # of the highest density, where so much of it is in a corner


def splines() -> diffeo.Flow:
    """Begins as wide as the ring, so that its samples reach all modes."""
    spec = diffeo.Spec(2).add_standardize([0, 0], [3, 3])
    for i in range(4):
        spec.add_coupling((32, 32), mask=("odd", "even")[i % 2], transformer=diffeo.Spline(bins=16, low=-4, high=4))
    return spec.build(seed=2)


BANANA, RING = targets.KNOWN["banana"], targets.KNOWN["ring of eight"]
PICTURES = [
    Picture(
        "banana", BANANA, BANANA.log_evidence, (-3, -2), (3, 8),
        lambda: diffeo.realnvp(2, transforms=6, hidden=(32, 32), seed=1),
    ),
    Picture(
        "Neal's funnel", targets.funnel, 0.0, (-9, -9), (9, 9),
        lambda: diffeo.iaf(2, transforms=3, hidden=(32, 32), seed=1), brightest=0.02,
    ),
    Picture(
        "ring of eight", RING, RING.log_evidence, (-5.6, -5.6), (5.6, 5.6), splines, {"estimator": "mass_covering"},
    ),
]  # fmt: skip


def upright(picture: Picture, x: np.ndarray) -> np.ndarray:
    """The funnel stands on its neck: its first column is drawn upwards."""
    return x[:, ::-1] if picture.density is targets.funnel else x


def main() -> None:
    fig, axes = gallery.figure(1, 2 * len(PICTURES), 1.66, 1.86)
    for i, picture in enumerate(PICTURES):
        flow = picture.flow()
        flow.fit_target(picture.density, **SETTING, **picture.options)
        found = diffeo.importance(flow, picture.density, SAMPLES, seed=3)
        missing = picture.log_evidence - found.log_weights.mean()
        print(f"{picture.title}: ELBO {missing:.3f} nats short, k-hat {found.pareto_k:.2f}")

        left, right = axes[0, 2 * i : 2 * i + 2]

        def log_density(x: np.ndarray, picture: Picture = picture) -> np.ndarray:
            return picture.density(upright(picture, x))[0]

        sides = [np.linspace(*ends, 320) for ends in zip(picture.low, picture.high, strict=True)]
        highest = np.exp(log_density(np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)).max())
        ends = {"low": picture.low, "high": picture.high}
        plot.density(log_density, **ends, brightest=picture.brightest * highest, ax=left)
        left.set_title(f"density: {picture.title}", fontsize=8.5, pad=3)
        plot.density(lambda x: np.full(len(x), -np.inf), **ends, brightest=1.0, ax=right)
        for ax in (left, right):
            ax.set_axis_off()
            ax.set_box_aspect(1)
        right.plot(*upright(picture, found.x).T, ",", color="#ffea46", alpha=0.7)
        right.set(xlim=left.get_xlim(), ylim=left.get_ylim())
        right.set_title(f"samples: {missing:.2f} short, k {found.pareto_k:.2f}", fontsize=8.5, pad=3)
    gallery.finish(fig, "targets", 48, gallery.IMAGES.parent / "objectives")


if __name__ == "__main__":
    main()
