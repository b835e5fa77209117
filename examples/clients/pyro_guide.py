"""Pyro: a Diffeo flow as the guide of stochastic variational inference, beside the flow that Pyro makes a guide of.

Two parameters are bent and observed with noise: the posterior is a banana, and a grid says what it is.
"""

import sys
import time
from functools import partial

import diffeo.torch
import pyro
import torch
from pyro import distributions as dist
from pyro.infer import SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormalizingFlow
from pyro.optim import Adam

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
NOISE, OBSERVED = 0.3, torch.tensor([0.2, 0.8])


class FlowDistribution(diffeo.torch.Distribution, dist.torch_distribution.TorchDistributionMixin):
    """A flow as a distribution of Pyro."""


class Guide:
    """The posterior of "theta" is a flow."""

    def __init__(self, flow):
        self.flow = diffeo.torch.Flow(flow)

    def __call__(self):
        pyro.module("flow", self.flow)
        return pyro.sample("theta", FlowDistribution(self.flow))


def pyro_flow(dim):
    """Affine couplings of the same number and size, of Pyro."""
    swap = torch.arange(dim).flip(0)
    pairs = [
        (dist.transforms.affine_coupling(dim, hidden_dims=[32, 32]), dist.transforms.permute(dim, swap))
        for _ in range(6)
    ]
    return dist.transforms.ComposeTransformModule([part for pair in pairs for part in pair])


def bend(theta):
    return torch.stack([theta[..., 0] / 2, theta[..., 1] + theta[..., 0] ** 2], -1)


def model():
    theta = pyro.sample("theta", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    pyro.sample("x", dist.Normal(bend(theta), NOISE).to_event(1), obs=OBSERVED)


def truth():
    """Log evidence, mean and deviation of the posterior, from a grid."""
    line = torch.linspace(-4, 4, 801, dtype=torch.float64)
    theta = torch.cartesian_prod(line, line)
    log_p = dist.Normal(0.0, 1.0).log_prob(theta).sum(1) + dist.Normal(bend(theta), NOISE).log_prob(OBSERVED).sum(1)
    weight, cell = log_p.softmax(0), (line[1] - line[0]) ** 2
    mean = weight @ theta
    return (log_p.logsumexp(0) + cell.log()).item(), mean, (weight @ (theta - mean) ** 2).sqrt()


def report(name, seconds, bound, mean, deviation):
    numbers = [*mean.tolist(), *deviation.tolist()]
    print(f"{name:8}{seconds:>7}   {bound:7.3f}   " + "".join(f"{number:7.3f}" for number in numbers))


if __name__ == "__main__":
    torch.set_num_threads(1)
    diffeo.set_num_threads(1)
    guides = {
        "pyro": AutoNormalizingFlow(model, pyro_flow),
        "diffeo": Guide(diffeo.realnvp(2, transforms=6, hidden=(32, 32))),
    }
    print("guide   seconds      ELBO    mean          deviation")
    for name, guide in guides.items():
        pyro.clear_param_store()
        pyro.set_rng_seed(1)
        start = time.process_time()  # of the processor
        elbo = partial(Trace_ELBO, max_plate_nesting=0, vectorize_particles=True)
        inference = SVI(model, guide, Adam({"lr": 2e-3}), elbo(num_particles=64))
        for _ in range(STEPS):
            inference.step()
        seconds = time.process_time() - start
        with torch.no_grad():
            bound = -elbo(num_particles=20000).loss(model, guide)
            theta = Predictive(model, guide=guide, num_samples=20000, parallel=True, return_sites=["theta"])()["theta"]
        report(name, f"{seconds:.1f}", bound, theta.reshape(-1, 2).mean(0), theta.reshape(-1, 2).std(0))
    report("grid", "", *truth())
