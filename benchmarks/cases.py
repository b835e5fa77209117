"""What is measured: architectures and layers, their sizes, and the work in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from machine import NATIVE, Level, Machine

TASKS = {"log_prob": "log-density", "sample": "samples", "train": "training step"}
TITLES = {"maf": "MAF, 5 layers", "realnvp": "RealNVP, 10 couplings", "nsf": "NSF, 5 couplings, 8 bins"}
TRANSFORMS = {"maf": 5, "realnvp": 10, "nsf": 5}
BINS, BOUND = 8, 4.0  # of the splines, which live in [-BOUND, BOUND]
COMPONENTS = 8  # of the mixtures
SIZES = {"float32": 4, "float64": 8}
TILE, TRAINING_TILE = 96, 64  # rows that go through a layer together, with AVX-512


@dataclass(frozen=True)
class Work:
    """What there is to do at the least: unmasked weights only, two operations each; no activations, no exponentials.

    A row needs every weight. Weights are read from memory once for each tile of rows, rows once, results written once.
    """

    weights: int
    rows: int
    columns: int  # in and out, of a row
    dtype: str = "float32"
    passes: int = 1  # over the weights; a training step makes three: forward, gradients of inputs, gradients of weights

    @property
    def flops(self) -> int:
        return 2 * self.passes * self.weights * self.rows

    @property
    def weight_bytes(self) -> int:
        """Training reads the weights twice, and the last pass is Adam's, over four vectors: three of them both ways."""
        times = -(-self.rows // TILE) if self.passes == 1 else 2 * -(-self.rows // TRAINING_TILE) + 7
        return SIZES[self.dtype] * self.weights * times

    @property
    def row_bytes(self) -> int:
        return SIZES[self.dtype] * self.rows * self.columns

    def level(self, machine: Machine) -> Level:
        """Where the weights are, with what Adam keeps of each."""
        return machine.level(SIZES[self.dtype] * self.weights * (1 if self.passes == 1 else 4))

    def least(self, machine: Machine, isa: str = NATIVE, threads: int = 1) -> tuple[float, float]:
        """Seconds that the machine needs for the operations, and for the bytes from the levels that they fit into."""
        weights = self.weight_bytes / machine.bandwidths[self.level(machine).name, threads]
        rows = self.row_bytes / machine.bandwidths[machine.level(self.row_bytes).name, threads]
        return self.flops / machine.peaks[self.dtype, isa, threads] * 1e-9, (weights + rows) * 1e-9


@dataclass(frozen=True)
class Case:
    """One measurement: a task, on so many rows, of a flow whose networks are dim -> hidden -> hidden -> outputs."""

    architecture: str  # of TITLES
    task: str  # of TASKS
    dim: int
    hidden: int
    rows: int
    dtype: str = "float32"

    @property
    def transforms(self) -> int:
        return TRANSFORMS[self.architecture]

    @property
    def name(self) -> str:
        name = f"{self.architecture}-{self.dim}-{self.task}-{self.rows}"
        return name + ("" if self.dtype == "float32" else f"-{self.dtype}")

    @property
    def title(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        dtype = "" if self.dtype == "float32" else f"{self.dtype}, "
        sizes = f"d = {self.dim}, h = {self.hidden} x 2"
        return f"{TITLES[self.architecture]}, {sizes}: {dtype}{TASKS[self.task]}, {rows}"

    @property
    def work(self) -> Work:
        """Samples of a MAF need no more of it than its density."""
        d, h = self.dim, self.hidden
        if self.architecture == "maf":
            weights = self.transforms * made_weights(d, (h, h), 2)
        else:
            outputs = 2 if self.architecture == "realnvp" else 3 * BINS - 1
            passed = [len(range(i % 2, d, 2)) for i in range(self.transforms)]  # even and odd columns take turns
            weights = sum(coupling_weights(d, p, (h, h), outputs) for p in passed)
        return Work(weights, self.rows, d + 1, self.dtype, passes=3 if self.task == "train" else 1)

    @property
    def expense(self) -> int:
        """Roughly in proportion to the time of the whole round: the other libraries sample a MAF in dim passes."""
        passes = self.dim if (self.architecture, self.task) == ("maf", "sample") else 1
        return self.rows * passes * self.transforms * self.hidden * (self.hidden + 3 * self.dim)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def made_weights(d: int, hidden: Sequence[int], outputs: int) -> int:
    """Weights of a MADE where hidden unit j of h has degree 1 + j (d - 1) / h: degrees dealt evenly, none random."""
    before = list(range(1, d + 1))  # a unit of degree g sees the inputs 1 to g
    total = 0
    for h in hidden:
        degrees = [1 + j * (d - 1) // h for j in range(h)]
        total += sum(seen <= degree for degree in degrees for seen in before)
        before = degrees
    return total + outputs * sum(seen < i for i in range(1, d + 1) for seen in before)


def coupling_weights(d: int, passed: int, hidden: Sequence[int], outputs: int) -> int:
    """Of a dense network from the columns that pass unchanged to so many parameters of each of the others."""
    widths = [passed, *hidden, outputs * (d - passed)]
    return sum(a * b for a, b in pairwise(widths))


SLOW = ("realnvp-63-*", "maf-63-sample-1", "maf-63-*-float64")  # left out of a quick run


def all_cases() -> list[Case]:
    """Whole flows."""
    cases = []
    for dim, hidden in ((6, 100), (63, 512)):
        for rows in (10_000, 1):
            cases += [Case("maf", task, dim, hidden, rows) for task in ("log_prob", "sample")]
        cases += [Case("realnvp", task, dim, hidden, 10_000) for task in ("log_prob", "sample")]
    cases += [Case("nsf", task, 6, 128, 10_000) for task in ("log_prob", "sample")]
    cases += [Case("maf", "log_prob", 63, 512, 10_000, "float64")]
    cases += [Case("maf", "train", dim, hidden, 256) for dim, hidden in ((6, 100), (43, 512))]
    return sorted(cases, key=lambda case: (case.task == "train", case.architecture, case.dim))


@dataclass(frozen=True)
class Layer:
    """A flow of one layer: a method of diffeo.Spec, its arguments, and the weights or other multiply-adds of a row."""

    title: str
    method: str
    dim: int
    weights: int
    arguments: dict[str, Any] = field(default_factory=dict)

    def work(self, rows: int) -> Work:
        return Work(self.weights, rows, 2 * self.dim + 1)


def all_layers() -> list[Layer]:
    """Layers whose time goes into matrices, and layers of 32 columns whose time goes into all the rest."""
    return [
        _autoregressive("autoregressive, h = 512 x 2", 63, (512, 512)),
        _autoregressive("autoregressive, h = 100 x 2", 6, (100, 100)),
        _coupling("coupling, h = 128 x 2", 32, (128, 128)),
        _coupling("coupling, h = 32", 32, (32,)),
        _coupling("spline coupling, h = 32", 32, (32,), "Spline", 3 * BINS - 1),
        _autoregressive("spline autoregressive, h = 32", 32, (32,), "Spline", 3 * BINS - 1),
        _autoregressive("mixture autoregressive, h = 32", 32, (32,), "Mixture", 3 * COMPONENTS),
        Layer("LU", "add_lu", 32, 32 * 32),
        Layer("Householder, 8 reflections", "add_householder", 32, 2 * 8 * 32, {"reflections": 8}),
        Layer("actnorm", "add_actnorm", 32, 32),
        Layer("planar", "add_planar", 32, 2 * 32),
        Layer("radial", "add_radial", 32, 2 * 32),
    ]


def _autoregressive(title: str, d: int, hidden: tuple[int, ...], transformer: str = "", outputs: int = 2) -> Layer:
    weights = made_weights(d, hidden, outputs)
    return Layer(title, "add_autoregressive", d, weights, {"hidden": hidden, "transformer": transformer})


def _coupling(title: str, d: int, hidden: tuple[int, ...], transformer: str = "", outputs: int = 2) -> Layer:
    weights = coupling_weights(d, d // 2, hidden, outputs)
    return Layer(title, "add_coupling", d, weights, {"hidden": hidden, "transformer": transformer})


GROWTH = {"MAF": Case("maf", "log_prob", 6, 100, 1), "RealNVP": Case("realnvp", "log_prob", 6, 100, 1)}
GROWTH_ROWS = [round(10 ** (k / 2)) for k in range(13)]  # 1 to 1,000,000
GROWTH_LAYERS = [1, 2, 4, 8, 16, 32, 64]
