"""zuko: `MAF` and `RealNVP`, and RealNVP's couplings with splines.

Its `NSF` is autoregressive; with passes=2 it is a coupling, but multiplies by the zeros of masks.
"""

from __future__ import annotations

import importlib.metadata
from functools import cache, partial
from typing import Any

from cases import BINS, BOUND, Case

from . import Learn, Learnt, Run, torch_flows


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


def learn(task: Learn) -> Learnt:
    """`MAF`, `RealNVP` and `NSF` as they come; spline couplings are RealNVP's with the splines of `NSF`."""
    import torch
    import zuko

    torch.manual_seed(task.seed)
    x, context = task.train
    make = {"maf": zuko.flows.MAF, "spline_autoregressive": zuko.flows.NSF}.get(task.flow, zuko.flows.RealNVP)
    map: dict[str, Any] = {}
    if task.flow == "spline_coupling":
        map = {"univariate": zuko.transforms.MonotonicRQSTransform, "shapes": [(BINS,), (BINS,), (BINS - 1,)]}
    flow = make(
        features=x.shape[1], context=0 if context is None else context.shape[1], transforms=task.transforms,
        hidden_features=task.hidden, **map,
    )  # fmt: skip
    return torch_flows.learn(flow, task, lambda x, c: flow(c).log_prob(x))
