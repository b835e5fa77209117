"""normflows, with networks of as many weight matrices as the others: dim -> hidden -> hidden -> outputs.

The one pass of its MaskedAffineAutoregressive is that of samples; `Reverse` makes it the layer of MAF, whose one pass
is that of the density. Its CoupledRationalQuadraticSpline has a residual network, and splines for the columns that pass
too; this is the coupling in it, with a plain network.
"""

from __future__ import annotations

import importlib.metadata
from functools import cache
from typing import Any

import numpy as np
from cases import BINS, BOUND, Case

from . import Infer, Inference, Run, torch_flows


def setup(threads: int) -> None:
    import normflows  # noqa: F401

    torch_flows.setup(threads)


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("normflows", "torch")}


@cache
def _flow(architecture: str, transforms: int, dim: int, hidden: int) -> Any:
    import normflows

    flows, nets = normflows.flows, normflows.nets
    layers: list[Any] = []
    for i in range(transforms):
        if architecture == "maf":
            layer = flows.MaskedAffineAutoregressive(dim, hidden, num_blocks=1, use_residual_blocks=False)
            layers += [flows.Reverse(layer), flows.Permute(dim, "swap")]
        elif architecture == "realnvp":
            network = nets.MLP([dim - dim // 2, hidden, hidden, 2 * (dim // 2)])
            layers += [flows.AffineCouplingBlock(network), flows.Permute(dim, "swap")]
        else:
            layers.append(flows.Reverse(_spline(dim, hidden, even=i % 2 == 0)))
    return normflows.NormalizingFlow(normflows.distributions.DiagGaussian(dim, trainable=False), layers)


def _spline(dim: int, hidden: int, even: bool) -> Any:
    import normflows
    from normflows.flows.neural_spline.coupling import PiecewiseRationalQuadraticCoupling
    from normflows.utils.masks import create_alternating_binary_mask

    class Plain(normflows.nets.MLP):  # type: ignore[misc]
        hidden_features = hidden  # widths and heights are divided by its root

        def forward(self, inputs: Any, context: Any = None) -> Any:
            return super().forward(inputs)

    mask = create_alternating_binary_mask(dim, even=even)
    return PiecewiseRationalQuadraticCoupling(
        mask, lambda inputs, outputs: Plain([inputs, hidden, hidden, outputs]),
        num_bins=BINS, tails="linear", tail_bound=BOUND,
    )  # fmt: skip


def build(case: Case, rows: int) -> Run:
    made = _flow(case.architecture, case.transforms, case.dim, case.hidden)
    return torch_flows.run_of(made, case, rows, made.log_prob, lambda n: made.sample(n)[0])


def infer(task: Infer) -> Inference:
    """The loop of the library's examples: a step whose loss is not finite is left out."""
    import inference_targets
    import torch

    torch.manual_seed(task.seed)
    log_p = inference_targets.log_density(task.target, torch)

    class Target:
        log_prob = staticmethod(log_p)

    model = _sampler(task)
    model.p = Target()
    optimizer = torch.optim.Adam(model.parameters(), lr=task.lr, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, task.steps)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = model.reverse_kld(task.batch_size)
            if torch.isfinite(loss):
                loss.backward()
                optimizer.step()
            schedule.step()

    def sample(n: int) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            x, log_q = model.sample(n)
        return x.double().numpy(), log_q.double().numpy()

    return Inference(run, sample)


def _sampler(task: Infer) -> Any:
    """A flow whose fast direction is that of samples."""
    import normflows

    flows, layers = normflows.flows, []
    for i in range(task.transforms):
        if task.flow in ("planar", "radial"):
            layers.append((flows.Planar if task.flow == "planar" else flows.Radial)((task.dim,)))
        elif task.flow == "iaf":
            layer = flows.MaskedAffineAutoregressive(
                task.dim, task.hidden[0], num_blocks=len(task.hidden) - 1, use_residual_blocks=False
            )
            layers += [layer, flows.Permute(task.dim, "swap")]
        elif task.flow == "realnvp":
            half = task.dim // 2
            network = normflows.nets.MLP([task.dim - half, *task.hidden, 2 * half], init_zeros=True)
            layers += [flows.AffineCouplingBlock(network), flows.Permute(task.dim, "swap")]
        else:
            layers.append(flows.Reverse(_spline(task.dim, task.hidden[0], even=i % 2 == 0)))
    return normflows.NormalizingFlow(normflows.distributions.DiagGaussian(task.dim, trainable=False), layers)
