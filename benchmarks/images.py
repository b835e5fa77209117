"""Image flows beside published bits per dimension: NICE, RealNVP, Glow, and Glow with splines, on any HDF5 file.

python benchmarks/images.py --data FILE [--shape C,H,W] [--models NAME;...] [--minutes M] [--threads T] [--write]
    [--quick]

The file has `train`, `val` and `test`, bytes [n, pixels] or [n, C, H, W] (mnist_u8.h5 of Papamakarios' layout; --shape
where rows are flat and not square). Every model has M minutes of processor time; a run that was stopped goes on where
it was, by what is in benchmarks/results/images. What is kept is the best epoch by validation, or the end; test images
are looked at only then. Results and curves are kept in benchmarks/images.json, and not run again; --write makes of
all of them the table of docs/learning.md, and of the longest run docs/images/learning/images.png, data beside samples.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import diffeo
import h5py
import numpy as np
from diffeo import plot
from report import Table, markdown, plain, write

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "benchmarks/results/images"
KEPT = ROOT / "benchmarks/images.json"
PAGE = ROOT / "docs/learning.md"
PICTURE = ROOT / "docs/images/learning/images.png"

COMMON: dict[str, Any] = {"batch_size": 64, "lr": 4e-3, "warmup_steps": 200, "ema_decay": 0.999, "patience": 0}


@dataclass(frozen=True)
class Images:
    """Counts, [n, C, H, W]."""

    name: str
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray

    @staticmethod
    def read(path: Path, shape: tuple[int, ...] | None, first: int | None) -> Images:
        """The first so many images of each part."""
        with h5py.File(path) as file:
            parts = [file[part][:first] for part in ("train", "val", "test")]
        if shape is None:
            shape = parts[0].shape[1:] if parts[0].ndim == 4 else (1, *[math.isqrt(parts[0][0].size)] * 2)
        return Images(path.stem, *(part.reshape(-1, *shape) for part in parts))


def made(architecture: Callable[..., diffeo.Flow], images: Images, **options: Any) -> diffeo.Flow:
    return architecture(images.train.shape[1:], seed=1, **options)


def nice(images: Images) -> diffeo.Flow:
    """As published (Dinh, Krueger and Bengio 2015): four couplings of five hidden layers of 1000, logistic noise.

    The last scales begin at those of the data, to which Adam would take thousands of steps.
    """
    rows = images.train.reshape(len(images.train), -1).astype(np.float64)
    spec = diffeo.Spec(rows.shape[1]).add_dequantize(256)
    for mask in ("even", "odd") * 2:
        spec.add_coupling((1000,) * 5, mask=mask, scale="additive")
    spec.add_standardize((rows.mean(0) + 0.5) / 256, np.sqrt(rows.var(0) + 1 / 12) / 256)
    return spec.add_elementwise_affine(shift=False).set_base("logistic").build(seed=1)


# Splines with the last convolution of 1 x 1: of 3 x 3 it would take most of the time, as each number has 23 parameters.
SPLINES: dict[str, Any] = {"steps": 8, "hidden": (64, 64), "kernels": (5, 1, 1), "transformer": diffeo.Spline()}
# What begins with "glow, splines" differs from that in what its name says, so that the table says what it brings.
MODELS: dict[str, Callable[[Images], diffeo.Flow]] = {
    "glow": partial(made, diffeo.glow_image, steps=8, hidden=(64, 64)),
    "glow, splines": partial(made, diffeo.glow_image, **SPLINES),
    "glow, splines, 4 steps": partial(made, diffeo.glow_image, **SPLINES | {"steps": 4}),
    "glow, splines, 16 steps": partial(made, diffeo.glow_image, **SPLINES | {"steps": 16}),
    "glow, splines, 1 level": partial(made, diffeo.glow_image, **SPLINES, levels=1),
    "glow, splines, no split": partial(made, diffeo.glow_image, **SPLINES, split=False),
    "glow, splines, plain prior": partial(made, diffeo.glow_image, **SPLINES, learned_prior=False),
    "glow, splines, 3 x 3 last": partial(made, diffeo.glow_image, **SPLINES | {"kernels": (5, 1, 3)}),
    "realnvp": partial(made, diffeo.realnvp_image, steps=3, hidden=(32, 32)),
    "realnvp, splines": partial(made, diffeo.realnvp_image, steps=3, hidden=(32, 32), transformer=diffeo.Spline()),
    "nice": nice,
}
# MNIST: Grathwohl et al., "FFJORD", ICLR 2019, table 2; NICE: Dinh et al. 2015, 1980.50 nats for x / 256.
PUBLISHED = {"realnvp": 1.06, "glow": 1.05, "nice": math.log2(256) - 1980.50 / (784 * math.log(2))}
QUICK_IMAGES, QUICK_MINUTES = 500, 0.1
PICTURED = 12


def kept() -> list[dict[str, Any]]:
    """What has been run; read anew each time, as other runs may have ended since."""
    return json.loads(KEPT.read_text()) if KEPT.exists() else []


def run_name(data: str, model: str, minutes: float) -> str:
    """Of the files of a run."""
    return f"{data}-{model.replace(', ', '-').replace(' ', '-')}-{minutes:g}"


def run(name: str, images: Images, minutes: float, threads: int) -> dict[str, Any]:
    """Train a model for so long, or go on with it."""
    flow = MODELS[name](images)
    train, val, test = (part.reshape(-1, *flow.shape) for part in (images.train, images.val, images.test))
    file = run_name(images.name, name, minutes)
    checkpoint, log = (CACHE / f"{file}.{kind}" for kind in ("h5", "json"))
    curve: list[dict[str, float]] = json.loads(log.read_text())["curve"] if checkpoint.exists() else []
    spent = curve[-1]["minutes"] if curve else 0.0
    trainer = diffeo.Trainer(flow, train, validation=val, max_epochs=1000, threads=threads, seed=1, **COMMON)
    if checkpoint.exists():
        trainer.load(checkpoint)
    nats_per_bit = train[0].size * math.log(2)
    begun = time.process_time() - 60 * spent
    while not trainer.finished and time.process_time() - begun < 60 * minutes:
        # The rate falls to 0 with the time that there is.
        trainer.lr = COMMON["lr"] * max(
            0.5 + 0.5 * math.cos(math.pi * (time.process_time() - begun) / 60 / minutes), 1e-3
        )
        report = trainer.step(50)
        if report.state == "epoch_end" or time.process_time() - begun >= 60 * minutes:
            curve.append(
                {
                    "minutes": (time.process_time() - begun) / 60,
                    "epoch": report.epoch,
                    "train": -report.train_log_prob / nats_per_bit,
                    "val": -report.validation_log_prob / nats_per_bit,
                }
            )
            print(f"{name}: {curve[-1]}", flush=True)
            trainer.save(checkpoint)
            log.write_text(json.dumps({"curve": curve}))
    # The rate is 0 in the end: the last weights may be better than those of the last epoch that was whole.
    best = min(trainer.best, trainer.current, key=lambda flow: flow.bits_per_dim(val, seed=2).mean())
    bits = best.bits_per_dim(test, seed=1)
    best.save(CACHE / f"{file}.flow.h5")
    return {
        "data": images.name,
        "model": name,
        "budget": minutes,
        "minutes": curve[-1]["minutes"],
        "parameters": int(best.trained_parameters().sum()),
        "test": float(bits.mean()),
        "two_errors": float(2 * bits.std() / math.sqrt(len(bits))),
        "curve": curve,
    }


def table(results: list[dict[str, Any]]) -> Table:
    """A line a run, the longest first."""
    lines = [["model", "parameters", "minutes of one core", "epochs", "test bits", "±", "published"]]
    for each in sorted(results, key=lambda each: (-each["budget"], each["test"])):
        published = PUBLISHED.get(each["model"]) if each["data"].startswith("mnist") else None
        lines.append([
            each["model"], f"{each['parameters']:,}", f"{each['minutes']:.0f}", epochs(each), f"{each['test']:.3f}",
            f"{each['two_errors']:.3f}", f"{published:.2f}" if published else "",
        ])  # fmt: skip
    return lines


def epochs(result: dict[str, Any]) -> str:
    """How often images were gone through: with other work on the machine it is less in the same minutes."""
    ends = [point for point in result["curve"] if point.get("epoch")]
    if not ends:
        return ""
    last = max(ends, key=lambda point: (point["epoch"], -point["minutes"]))
    return f"{last['epoch'] * result['minutes'] / last['minutes']:.1f}"


def draw(longest: dict[str, Any], images: Images) -> None:
    """Some images of the data, and as many samples at three temperatures."""
    flow = diffeo.load(CACHE / f"{run_name(longest['data'], longest['model'], longest['budget'])}.flow.h5")
    lines = {"data": images.test[:PICTURED]}
    for temperature in 1.0, 0.8, 0.6:
        drawn = flow.sample(PICTURED, seed=1, temperature=temperature)
        lines[f"T = {temperature:g}"] = drawn.reshape(lines["data"].shape)
    PICTURE.parent.mkdir(exist_ok=True)
    plot.images(lines).savefig(PICTURE, dpi=100, facecolor="white")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--shape", type=lambda text: tuple(map(int, text.split(","))))
    parser.add_argument("--models", default="glow, splines", help="separated by semicolons")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a check of this program: some images, some seconds")
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    images = Images.read(given.data, given.shape, QUICK_IMAGES if given.quick else None)
    results = [] if given.quick else [each for each in kept() if each["data"] == images.name]
    minutes = QUICK_MINUTES if given.quick else given.minutes
    for name in given.models.split(";"):
        known = any(each["model"] == name and each["budget"] == minutes for each in results)
        if known or minutes <= 0:
            continue
        results.append(run(name, images, minutes, given.threads))
        if not given.quick:
            KEPT.write_text(json.dumps([*kept(), results[-1]], indent=1) + "\n")
    print(plain(table(results)))
    if given.write:
        write(PAGE, {"images": markdown(table(results))})
        draw(max(results, key=lambda each: each["budget"]), images)


if __name__ == "__main__":
    main()
