"""pocoMC: preconditioned Monte Carlo with a Diffeo flow, trained by its own loop, beside the flow it brings.

pocoMC takes flows of zuko: one whose transform is Diffeo's will do. The likelihood is a twisted Gaussian in a box,
whose evidence is known: one over the volume of the box.
"""

import sys
import time

import diffeo.torch
import numpy as np
import pocomc
import torch
import zuko
from scipy import stats

PARTICLES = int(sys.argv[1]) if len(sys.argv) > 1 else 256
DIM, EDGE = 4, 10.0


class LazyTransform(zuko.lazy.LazyTransform):
    """What zuko makes a flow of."""

    def __init__(self, flow):
        super().__init__()
        self.flow = diffeo.torch.Flow(flow)

    def forward(self, c=None):
        return diffeo.torch.Transform(self.flow, c, cache_size=1)


def diffeo_flow(dim):
    """Of the size of pocoMC's: six autoregressive splines."""
    flow = diffeo.spline_autoregressive(dim, transforms=6, hidden=(32, 32, 32))
    noise = zuko.lazy.UnconditionalDistribution(
        zuko.distributions.DiagNormal, torch.zeros(dim), torch.ones(dim), buffer=True
    )
    return zuko.flows.Flow(LazyTransform(flow), noise)


def log_likelihood(x):
    """x0 and all others but x1 are standard normal, x1 is x0 squared and a half of noise."""
    z = x.copy()
    z[:, 1] = (z[:, 1] - z[:, 0] ** 2 + 1) / 0.5
    return -0.5 * (z**2).sum(1) - 0.5 * DIM * np.log(2 * np.pi) - np.log(0.5)


if __name__ == "__main__":
    diffeo.set_num_threads(1)  # pocoMC has PyTorch use one
    print("flow    seconds   log evidence    mean of x1   deviation")
    for name, flow in ("pocomc", "nsf6"), ("diffeo", diffeo_flow(DIM)):
        start = time.process_time()  # of the processor
        prior = pocomc.Prior([stats.uniform(-EDGE, 2 * EDGE)] * DIM)
        sampler = pocomc.Sampler(
            prior,
            log_likelihood,
            vectorize=True,
            flow=flow,
            n_effective=PARTICLES,
            n_active=PARTICLES // 2,
            random_state=1,
        )
        sampler.run(n_total=4 * PARTICLES, n_evidence=4 * PARTICLES, progress=False)
        x, weights, _, _ = sampler.posterior()
        seconds = time.process_time() - start
        log_z, error = sampler.evidence()
        mean = weights @ x[:, 1]
        deviation = np.sqrt(weights @ (x[:, 1] - mean) ** 2)
        print(f"{name:8}{seconds:7.1f}   {f'{log_z:.2f} +- {error:.2f}':16}{mean:10.2f}{deviation:12.2f}")
    print(f"{'truth':15}   {-DIM * np.log(2 * EDGE):.2f}{0:20.2f}{np.sqrt(2.25):12.2f}")
