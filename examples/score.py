"""The gradient of the log-density leads from anywhere up to the data: score.py [FILE], which training.py writes."""

import sys

import diffeo
import numpy as np

flow = diffeo.load(sys.argv[1] if len(sys.argv) > 1 else "moons.h5")
x = np.array([[-1.2, -0.4], [0.5, 0.25], [2.2, 1.0], [0.0, -0.8], [1.0, 1.2]])

for step in range(201):
    if step % 50 == 0:
        print(f"step {step:3}: log-densities", flow.log_prob(x).round(2))
    score = flow.grad_log_prob(x)
    # Short steps, at most 0.05, for far from the data the score is large.
    length = np.linalg.norm(score, axis=1, keepdims=True)
    x += np.minimum(0.002, 0.05 / length) * score
