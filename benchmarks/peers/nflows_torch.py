"""nflows, with networks of as many weight matrices as the others: dim -> hidden -> hidden -> outputs.

Its MAF has them with plain blocks, num_blocks_per_layer=1. Its RealNVP is residual, with two, four or more matrices, so
that the couplings here, affine or with splines, are put together from the same parts with its plain network.
"""

from __future__ import annotations

import importlib.metadata
from functools import cache, partial
from typing import Any

from cases import BINS, BOUND, Case

from . import Run, torch_flows


def setup(threads: int) -> None:
    import nflows  # noqa: F401

    torch_flows.setup(threads)


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("nflows", "torch")}


@cache
def flow(architecture: str, transforms: int, dim: int, hidden: int) -> Any:
    if architecture != "maf":
        return _couplings(architecture, transforms, dim, hidden)
    from nflows.flows.autoregressive import MaskedAutoregressiveFlow

    return MaskedAutoregressiveFlow(
        features=dim, hidden_features=hidden, num_layers=transforms, num_blocks_per_layer=1, use_residual_blocks=False
    )


def _couplings(architecture: str, transforms: int, dim: int, hidden: int) -> Any:
    import torch
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.nn.nets import MLP
    from nflows.transforms.base import CompositeTransform
    from nflows.transforms.coupling import AffineCouplingTransform, PiecewiseRationalQuadraticCouplingTransform

    class Plain(MLP):  # type: ignore[misc]
        hidden_features = hidden  # spline couplings divide widths and heights by its root

        def forward(self, inputs: Any, context: Any = None) -> Any:
            return super().forward(inputs)

    def network(inputs: int, outputs: int) -> Any:
        return Plain([inputs], [outputs], [hidden, hidden])

    masks = [torch.tensor([1 if column % 2 != i % 2 else 0 for column in range(dim)]) for i in range(transforms)]
    make = AffineCouplingTransform
    if architecture == "nsf":
        make = partial(PiecewiseRationalQuadraticCouplingTransform, num_bins=BINS, tails="linear", tail_bound=BOUND)
    layers = [make(mask=mask, transform_net_create_fn=network) for mask in masks]
    return Flow(transform=CompositeTransform(layers), distribution=StandardNormal([dim]))


def build(case: Case, rows: int) -> Run:
    made = flow(case.architecture, case.transforms, case.dim, case.hidden)
    return torch_flows.run_of(made, case, rows, made.log_prob, made.sample)
