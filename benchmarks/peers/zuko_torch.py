"""zuko: `MAF` and `RealNVP`, and RealNVP's couplings with splines.

Its `NSF` is autoregressive; with passes=2 it is a coupling, but multiplies by the zeros of masks.
"""

from __future__ import annotations

import importlib.metadata
from functools import cache, partial
from typing import Any

from cases import BINS, BOUND, Case

from . import Run, torch_flows


def setup(threads: int) -> None:
    import zuko  # noqa: F401

    torch_flows.setup(threads)


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("zuko", "torch")}


@cache
def _flow(architecture: str, transforms: int, dim: int, hidden: int) -> Any:
    import zuko

    make = zuko.flows.MAF if architecture == "maf" else zuko.flows.RealNVP
    map: dict[str, Any] = {}
    if architecture == "nsf":
        spline = partial(zuko.transforms.MonotonicRQSTransform, bound=BOUND)
        map = {"univariate": spline, "shapes": [(BINS,), (BINS,), (BINS - 1,)]}
    return make(features=dim, transforms=transforms, hidden_features=(hidden, hidden), **map)


def build(case: Case, rows: int) -> Run:
    flow = _flow(case.architecture, case.transforms, case.dim, case.hidden)
    return torch_flows.run_of(flow, case, rows, lambda x: flow().log_prob(x), lambda n: flow().sample((n,)))
