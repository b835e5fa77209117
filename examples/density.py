"""The density of a flow of two columns, as a picture in characters: density.py [FILE], which training.py writes."""

import sys

import diffeo
import numpy as np

flow = diffeo.load(sys.argv[1] if len(sys.argv) > 1 else "moons.h5")
x, y = np.linspace(-1.5, 2.5, 72), np.linspace(1.5, -1, 28)

# All points of the picture in one call.
points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
density = np.exp(flow.log_prob(points)).reshape(len(y), len(x))

for row in density:
    print("".join(" .:-=+*#%@"[min(int(p / 0.07), 9)] for p in row))
print(f"the density in this window sums to {density.sum() * (x[1] - x[0]) * (y[0] - y[1]):.3f}")
