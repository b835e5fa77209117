"""Trains a masked autoregressive flow on two moons and writes it to a file: training.py [FILE]."""

import sys

import diffeo
from moons import moons

path = sys.argv[1] if len(sys.argv) > 1 else "moons.h5"
x, _ = moons(8000, seed=0)

flow = diffeo.maf(dim=2, hidden=(64, 64), activation="silu")
history = flow.fit(x, max_epochs=60, batch_size=256, lr=3e-3, schedule="cosine")
print(history)

flow.metadata["data"] = "two moons"
flow.save(path)
print(f"wrote {path}: {flow!r}")
