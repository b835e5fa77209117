"""Draws docs/images/digits: what a Glow of the 8 x 8 digits of examples/digits.h5 makes.

    DIFFEO_LIBRARY=.build/release/libdiffeo.so PYTHONPATH=bindings/python python docs/gallery_images.py

or `make gallery`. The flow is that of examples/glow_digits.py. Trained in half a minute.
"""

from pathlib import Path

import gallery
import h5py
import numpy as np

import diffeo
from diffeo import plot

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path(__file__).resolve().parent / "images" / "digits"
TRAIN, HELD = slice(0, 1400), slice(1400, 1597)
EVERY = np.eye(10, dtype=np.float32)


def sheet(name: str, lines: dict[str, np.ndarray]) -> None:
    gallery.finish(plot.images(lines, quantization=17), name, 32, OUTPUT)


def main() -> None:
    with h5py.File(ROOT / "examples" / "digits.h5") as file:
        images, labels = file["images"][:], file["onehot"][:].astype(np.float32)
    flow = diffeo.glow_image(
        images.shape[1:], context_dim=10, quantization=17, steps=6, hidden=(32, 32), kernels=(5, 1, 1),
        transformer=diffeo.Spline(), seed=1)
    flow.fit(
        images[TRAIN], context=labels[TRAIN], validation=(images[HELD], labels[HELD]), batch_size=64, max_epochs=30,
        lr=3e-3, schedule="cosine", ema_decay=0.99, progress=False)
    OUTPUT.mkdir(parents=True, exist_ok=True)

    data = np.concatenate([images[TRAIN][labels[TRAIN].argmax(1) == label][:1] for label in range(10)])
    sheet("temperatures", {"data": data} | {
        f"T = {t}": flow.sample(10, EVERY, temperature=t, seed=3) for t in (0.4, 0.7, 1.0)})
    sheet("labels", {f"{label}": flow.sample(12, EVERY[label], temperature=0.7, seed=5) for label in range(10)})

    samples = flow.sample(10, EVERY, temperature=0.7, seed=8)
    distances = ((np.floor(samples)[:, None] - images[None, TRAIN]) ** 2).sum((2, 3, 4))
    sheet("nearest", {"samples": samples} | {
        word: images[TRAIN][distances.argsort(1)[:, k]]
        for k, word in enumerate(("nearest", "second", "third"))})

    lines = {}
    for label in 0, 3, 4, 8:
        ends = images[1597:][labels[1597:].argmax(1) == label][:2].astype(np.float32) + 0.5
        lines[f"{label} to {label}"] = flow.interpolate(ends[0], ends[1], 10, context=EVERY[label])
    sheet("interpolations", lines)


if __name__ == "__main__":
    main()
