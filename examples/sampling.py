"""Samples and their densities: sampling.py [FILE], which training.py writes.

Sample number i of a seed is the same whatever the pieces, so that they could as well come from many machines.
"""

import sys

import diffeo
import numpy as np

flow = diffeo.load(sys.argv[1] if len(sys.argv) > 1 else "moons.h5")

x, log_prob = flow.sample_and_log_prob(1_000_000, seed=42)
print(f"a million samples: mean {x.mean(axis=0)}, entropy {-log_prob.mean(dtype=float):.4f} nats")

piece = flow.sample(1000, seed=42, first_row=123_000)
print("samples 123000 to 123999 once more:", "the same" if np.array_equal(piece, x[123_000:124_000]) else "others!")
