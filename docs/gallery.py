"""Draws docs/images/flows/: each flow by name, trained on two densities of the plane or one of the torus.

    DIFFEO_LIBRARY=.build/release/libdiffeo.so PYTHONPATH=bindings/python python docs/gallery.py [NAME...]

or `make gallery`. Needs NumPy, Matplotlib and diffeo. All densities are known, so that the number in a title is how many
nats a row the flow falls short of the best possible: the Kullback-Leibler divergence, estimated on fresh rows.
"""

import argparse
import functools
import io
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image  # Matplotlib has it with it

import diffeo
from diffeo import plot

IMAGES = Path(__file__).resolve().parent / "images" / "flows"
ROWS = 20_000
TRAINING = dict(batch_size=256, max_epochs=60, patience=0, schedule="cosine", seed=1, progress=False, validation=0.1)


# ------------------------------------------------------------------------------------------------------------ Data


class Spirals:
    """Two arms of Gaussians along a curve: thin, bent, and with a hole between the turns."""

    name, half = "spirals", 4.0
    sigma = 0.12

    def __init__(self) -> None:
        angle = np.sqrt(np.linspace(0.02, 1, 400)) * 3 * np.pi
        arm = (angle / (3 * np.pi) * 3.4 * np.array([np.cos(angle), np.sin(angle)])).T
        self.centres = np.concatenate([arm, -arm])

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.centres[rng.integers(len(self.centres), size=n)] + self.sigma * rng.normal(size=(n, 2))

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        parts = []
        for piece in np.array_split(x, max(1, len(x) // 5000)):
            squares = ((piece[:, None] - self.centres) ** 2).sum(-1) / self.sigma**2
            least = squares.min(1)
            parts.append(-0.5 * least + np.log(np.exp(-0.5 * (squares - least[:, None])).mean(1)))
        return np.concatenate(parts) - np.log(2 * np.pi * self.sigma**2)


class Checkerboard:
    """Uniform on the eight dark squares: corners, edges, and a density of zero between them."""

    name, half = "checkerboard", 4.0

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        column, row = rng.integers(4, size=n), rng.integers(2, size=n)
        corner = np.stack([2 * column - 4, 4 * row - 4 + 2 * (column % 2)], axis=1)
        return corner + 2 * rng.random((n, 2))

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        inside = (np.abs(x) < 4).all(1) & (np.floor(x / 2).sum(1) % 2 == 0)
        return np.where(inside, -np.log(32), -np.inf)


class Torus:
    """Two angles: a band that goes round one way while it goes round the other, and a spot on the seam."""

    name, half = "two angles", np.pi
    band, spot, weight = 12.0, 20.0, 0.8

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        first = rng.uniform(-np.pi, np.pi, n)
        band = np.stack([first, first + np.sin(first) + rng.vonmises(0, self.band, n)], axis=1)
        spot = np.stack([rng.vonmises(np.pi, self.spot, n), rng.vonmises(0, self.spot, n)], axis=1)
        x = np.where(rng.random((n, 1)) < self.weight, band, spot)
        return (x + np.pi) % (2 * np.pi) - np.pi

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        a, b = x.T
        turn = 2 * np.pi
        band = np.exp(self.band * np.cos(b - a - np.sin(a))) / (turn**2 * np.i0(self.band))
        spot = np.exp(self.spot * (np.cos(a - np.pi) + np.cos(b))) / (turn * np.i0(self.spot)) ** 2
        return np.log(self.weight * band + (1 - self.weight) * spot)


PLANE = (Spirals(), Checkerboard())
TORUS = (Torus(),)


# ----------------------------------------------------------------------------------------------------------- Flows


@dataclass
class Entry:
    title: str
    make: str  # of diffeo
    options: dict
    data: tuple = PLANE
    rate: float = 2e-3


FLOWS = {
    "nice": Entry("NICE", "nice", dict(transforms=8)),
    "realnvp": Entry("RealNVP", "realnvp", dict(transforms=10)),
    "glow": Entry("Glow", "glow", dict(transforms=8)),
    "made": Entry("MADE", "made", dict()),
    "made_mog": Entry("MADE MoG", "made", dict(conditional="mixture", components=16)),
    "maf": Entry("MAF", "maf", dict(transforms=8)),
    "maf_mog": Entry("MAF MoG", "maf", dict(transforms=4, components=8)),
    "iaf": Entry("IAF", "iaf", dict(transforms=8)),
    "planar": Entry("Planar", "planar", dict(transforms=20), rate=1e-2),
    "radial": Entry("Radial", "radial", dict(transforms=20), rate=1e-2),
    "cdf_flow": Entry("CDF flow", "cdf_flow", dict(components=16)),
    "spline_coupling": Entry("Spline coupling", "spline_coupling", dict(transforms=5)),
    "spline_autoregressive": Entry("Spline autoregressive", "spline_autoregressive", dict()),
    "torus_coupling": Entry("Spline coupling, torus", "spline_coupling", dict(periodic=True), TORUS),
    "torus_autoregressive": Entry(
        "Spline autoregressive, torus", "spline_autoregressive", dict(periodic=True, transforms=2), TORUS
    ),
}


def train(entry: Entry, data) -> tuple[diffeo.Flow, float]:
    """The flow, and what it is missing to the true density, in nats a row."""
    flow = getattr(diffeo, entry.make)(dim=2, hidden=(64, 64), seed=1, **entry.options)
    flow.fit(data.sample(ROWS, np.random.default_rng(1)), lr=entry.rate, **TRAINING)
    test = data.sample(ROWS, np.random.default_rng(2))
    return flow, float(np.mean(data.log_prob(test) - flow.log_prob(test)))


# -------------------------------------------------------------------------------------------------------- Pictures


def panel(ax: Axes, density, data) -> None:
    """The density of a flow, or that of the data: in the colours of the latter, so that what is missing looks pale."""
    low, high = [-data.half] * 2, [data.half] * 2
    plot.density(density, low=low, high=high, brightest=brightest(data), ax=ax)
    ax.set_axis_off()
    ax.set_box_aspect(1)


@functools.cache
def brightest(data) -> float:
    side = np.linspace(-data.half, data.half, 320)
    return float(np.exp(data.log_prob(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)).max()))


def finish(fig: Figure, name: str, colours: int, folder: Path = IMAGES) -> None:
    """Few colours keep the file small; some greys more, or the edges of letters have the colours of densities."""
    image = io.BytesIO()
    fig.savefig(image, dpi=100)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    whole, palette = Image.open(image).convert("RGB"), Image.new("P", (1, 1))
    found = whole.quantize(colours).getpalette()[: 3 * colours]
    palette.putpalette([*found, *(level for grey in range(0, 256, 51) for level in [grey] * 3)])
    whole.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"  {path.name}: {path.stat().st_size / 1000:.0f} kB")


def figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    fig = Figure((width * columns, height * rows), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False)
    fig.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for ax in axes.flat:
        ax.set_axis_off()
    return fig, axes


def draw(name: str, entry: Entry, results: list) -> None:
    """Data and learnt density, side by side."""
    fig, axes = figure(1, 2 * len(results), 1.66, 1.86)
    for i, (data, flow, missing) in enumerate(results):
        for ax, shown, title in (
            (axes[0, 2 * i], data.log_prob, f"data: {data.name}"),
            (axes[0, 2 * i + 1], flow, f"learnt: {missing:.2f} nats short"),
        ):
            panel(ax, shown, data)
            ax.set_title(title, fontsize=8.5, pad=3)
    finish(fig, name, 48)


def overview(results: dict) -> None:
    """All flows of the plane on one picture."""
    shown = [("Data", [(data, data.log_prob, None) for data in PLANE])]
    shown += [(FLOWS[name].title, each) for name, each in results.items() if FLOWS[name].data is PLANE]
    columns = (len(shown) + 1) // 2
    fig, axes = figure(4, columns, 1.12, 1.2)
    for i, (title, each) in enumerate(shown):
        for j, (data, density, missing) in enumerate(each):
            ax = axes[2 * (i // columns) + j, i % columns]
            panel(ax, density, data)
            if j == 0:
                ax.set_title(title, fontsize=7.5, pad=3)
            if missing is not None:
                ax.text(0.97, 0.02, f"{missing:.2f}", color="white", fontsize=7.5, ha="right", transform=ax.transAxes,
                        bbox=dict(facecolor="black", edgecolor="none", pad=0.8))  # fmt: skip
    finish(fig, "overview", 24)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draws docs/images/flows/.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(FLOWS)}; by default all")
    chosen = parser.parse_args().names or list(FLOWS)
    results = {}
    start = time.perf_counter()
    for name in chosen:
        entry, begun = FLOWS[name], time.perf_counter()
        results[name] = [(data, *train(entry, data)) for data in entry.data]
        short = ", ".join(f"{data.name} {missing:.3f}" for data, _, missing in results[name])
        print(f"{name}: {short} nats short, {time.perf_counter() - begun:.1f} s")
        draw(name, entry, results[name])
    if chosen == list(FLOWS):
        overview(results)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
