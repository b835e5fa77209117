"""nessai: nested sampling with a Diffeo flow as its proposal, trained by its own loop, beside the flow it brings.

The likelihood is a twisted Gaussian in a box, whose evidence is known: one over the volume of the box.
"""

import logging
import sys
import tempfile
import time

import diffeo.torch
import numpy as np
from glasflow.nflows.transforms import Transform
from nessai.flows.base import NFlow
from nessai.flows.distributions import MultivariateNormal
from nessai.flowsampler import FlowSampler
from nessai.model import Model

LIVE_POINTS = int(sys.argv[1]) if len(sys.argv) > 1 else 500
DIM, EDGE = 4, 10.0


class DiffeoTransform(Transform):
    """Data to noise and back, as nessai asks for it."""

    def __init__(self, flow):
        super().__init__()
        self.flow = diffeo.torch.Flow(flow)

    def forward(self, x, context=None):
        return self.flow.to_noise(x, context)

    def inverse(self, z, context=None):
        return self.flow.from_noise(z, context)


class DiffeoFlow(NFlow):
    """Affine couplings with linear layers between them, of the number and size that nessai gives."""

    def __init__(self, n_inputs, n_neurons, n_blocks, n_layers, **_):
        flow = diffeo.glow(n_inputs, transforms=n_blocks, hidden=(n_neurons,) * n_layers)
        super().__init__(DiffeoTransform(flow), MultivariateNormal([n_inputs]))


class Twisted(Model):
    """x0 and all others but x1 are standard normal, x1 is x0 squared and a half of noise."""

    def __init__(self):
        self.names = [f"x{i}" for i in range(DIM)]
        self.bounds = {name: [-EDGE, EDGE] for name in self.names}

    def log_prior(self, x):
        return np.log(self.in_bounds(x), dtype=float) - DIM * np.log(2 * EDGE)

    def log_likelihood(self, x):
        z = self.unstructured_view(x).copy()
        z[..., 1] = (z[..., 1] - z[..., 0] ** 2 + 1) / 0.5
        return -0.5 * (z**2).sum(-1) - 0.5 * DIM * np.log(2 * np.pi) - np.log(0.5)


if __name__ == "__main__":
    logging.getLogger("nessai").setLevel(logging.ERROR)
    diffeo.set_num_threads(1)  # nessai has PyTorch use one
    print("flow    seconds   log evidence    mean of x1   deviation")
    for name, flow in ("nessai", None), ("diffeo", DiffeoFlow):
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()  # of the processor
            sampler = FlowSampler(
                Twisted(),
                output=folder,
                nlive=LIVE_POINTS,
                seed=1,
                resume=False,
                plot=False,
                flow_config={"flow": flow, "n_neurons": 32},
            )
            sampler.run(plot=False, save=False)
            seconds = time.process_time() - start
        evidence = f"{sampler.log_evidence:.2f} +- {sampler.log_evidence_error:.2f}"
        x1 = sampler.posterior_samples["x1"]
        print(f"{name:8}{seconds:7.1f}   {evidence:16}{x1.mean():10.2f}{x1.std():12.2f}")
    print(f"{'truth':15}   {-DIM * np.log(2 * EDGE):.2f}{0:20.2f}{np.sqrt(2.25):12.2f}")
