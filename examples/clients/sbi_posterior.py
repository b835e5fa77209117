"""sbi: a Diffeo flow as its neural posterior estimator, in its own training loop, beside the flow it brings.

The simulator bends two parameters, so that the posterior is a banana; a grid says what it is.
"""

import sys
import time

import diffeo.torch
import torch
from sbi.inference import NPE
from sbi.neural_nets.estimators.base import ConditionalDensityEstimator

SIMULATIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
NOISE, OBSERVED = 0.3, torch.tensor([[0.2, 0.8]])


class DiffeoEstimator(ConditionalDensityEstimator):
    """A flow as sbi asks for it."""

    def __init__(self, flow):
        super().__init__(diffeo.torch.Flow(flow), torch.Size([flow.dim]), torch.Size([flow.context_dim]))

    def log_prob(self, input, condition):
        return self.net.log_prob(input, condition)

    def loss(self, input, condition):
        return -self.log_prob(input, condition)

    def sample(self, sample_shape, condition):
        return diffeo.torch.distribution(self.net, condition).sample(sample_shape)


def build(theta, x):
    """A masked autoregressive flow of the size of sbi's."""
    flow = diffeo.maf(theta.shape[1], context_dim=x.shape[1], hidden=(50, 50), activation="tanh")
    flow.fit(theta.numpy(), x.numpy(), max_epochs=0, progress=False)  # standardises both, as sbi does
    return DiffeoEstimator(flow)


def bend(theta):
    return torch.stack([theta[..., 0] / 2, theta[..., 1] + theta[..., 0] ** 2], -1)


def truth():
    """Points of a grid, and how much of the posterior lies around each."""
    line = torch.linspace(-3.5, 3.5, 201)
    theta = torch.cartesian_prod(line, line)
    log_p = -0.5 * (theta**2).sum(1) - 0.5 * ((bend(theta) - OBSERVED) ** 2).sum(1) / NOISE**2
    return theta, log_p.double().softmax(0)


def moments(theta, weight):
    """Mean and deviation, as text."""
    mean = weight @ theta.double()
    deviation = (weight @ (theta - mean) ** 2).sqrt()
    return "".join(f"{number:8.3f}" for number in (*mean, *deviation))


if __name__ == "__main__":
    torch.set_num_threads(1)
    diffeo.set_num_threads(1)
    prior = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    torch.manual_seed(1)
    theta = prior.sample((SIMULATIONS,))
    x = bend(theta) + NOISE * torch.randn(SIMULATIONS, 2)
    grid, weight = truth()
    cell = (grid[1] - grid[0]).sum() ** 2
    rows = []
    for name, estimator in ("sbi", "maf"), ("diffeo", build):
        torch.manual_seed(2)
        start = time.process_time()  # of the processor
        inference = NPE(prior, density_estimator=estimator, show_progress_bars=False)
        inference.append_simulations(theta, x).train()
        posterior = inference.build_posterior()
        samples = posterior.sample((20000,), x=OBSERVED, show_progress_bars=False)
        seconds = time.process_time() - start
        log_q = posterior.log_prob(grid, x=OBSERVED).double()
        divergence = torch.xlogy(weight, weight / cell).sum() - weight @ log_q
        even = torch.full((len(samples),), 1 / len(samples), dtype=torch.float64)
        rows.append(f"{name:8}{seconds:7.1f}{divergence:15.4f}{moments(samples, even)}")
    print("\nflow    seconds  KL divergence    mean            deviation", *rows, sep="\n")
    print(f"{'grid':30}{moments(grid, weight)}")
