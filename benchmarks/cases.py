"""What is measured: architectures, their sizes, and the work in them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

TASKS = {"log_prob": "log-density", "sample": "samples", "train": "training step"}
TITLES = {"maf": "MAF, 5 layers", "realnvp": "RealNVP, 10 couplings"}


@dataclass(frozen=True)
class Case:
    """One measurement: a task, on so many rows, of a flow whose networks are dim -> hidden -> hidden -> outputs."""

    architecture: str  # "maf" or "realnvp"
    task: str  # of TASKS
    dim: int
    hidden: int
    rows: int

    @property
    def transforms(self) -> int:
        return 5 if self.architecture == "maf" else 10

    @property
    def name(self) -> str:
        return f"{self.architecture}-{self.dim}-{self.task}-{self.rows}"

    @property
    def title(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        return f"{TITLES[self.architecture]}, d = {self.dim}, h = {self.hidden} x 2: {TASKS[self.task]}, {rows}"

    @property
    def useful_flops(self) -> int | None:
        """Floating-point operations of the weights that are not masked: two for each, and nothing else is counted.

        None for a training step. Samples of a MAF need no more of them than its density.
        """
        if self.task == "train":
            return None
        count = _made_weights if self.architecture == "maf" else _couplings_weights
        return 2 * self.rows * count(self)

    @property
    def expense(self) -> int:
        """Roughly in proportion to the time of the whole round: the other libraries sample a MAF in dim passes."""
        passes = self.dim if (self.architecture, self.task) == ("maf", "sample") else 1
        return self.rows * passes * self.transforms * self.hidden * (self.hidden + 3 * self.dim)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _made_weights(case: Case) -> int:
    """Weights of a MADE where hidden unit j of h has degree 1 + j (d - 1) / h: degrees dealt evenly, none random."""
    d, h = case.dim, case.hidden
    degrees = [1 + j * (d - 1) // h for j in range(h)]
    first = sum(degrees)  # a unit of degree g sees the inputs 1 to g
    second = sum(seen <= degree for degree in degrees for seen in degrees)
    outputs = sum(2 * (seen < i) for i in range(1, d + 1) for seen in degrees)
    return case.transforms * (first + second + outputs)


def _couplings_weights(case: Case) -> int:
    """Weights of couplings in which even and odd columns take turns."""
    d, h = case.dim, case.hidden
    total = 0
    for i in range(case.transforms):
        passed = len(range(i % 2, d, 2))
        total += passed * h + h * h + h * 2 * (d - passed)
    return total


SLOW = ("realnvp-63-*", "maf-63-sample-1")  # left out of a quick run


def all_cases() -> list[Case]:
    """The suite."""
    cases = []
    for dim, hidden in ((6, 100), (63, 512)):
        for rows in (10_000, 1):
            cases += [Case("maf", task, dim, hidden, rows) for task in ("log_prob", "sample")]
        cases += [Case("realnvp", task, dim, hidden, 10_000) for task in ("log_prob", "sample")]
    cases += [Case("maf", "train", dim, hidden, 256) for dim, hidden in ((6, 100), (43, 512))]
    return sorted(cases, key=lambda case: (case.task == "train", case.architecture, case.dim))
