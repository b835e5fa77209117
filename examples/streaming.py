"""Trains on an HDF5 file that is read piece by piece, scores it into another, and samples to a third: streaming.py.

Needs h5py. Nothing here grows with the number of rows but the files.
"""

import diffeo
import h5py
import numpy as np
from moons import moons

rows, piece = 200_000, 20_000
with h5py.File("moons-data.h5", "w") as file:
    x = file.create_dataset("x", (rows, 2), np.float32, chunks=(5_000, 2), compression="gzip")
    for first in range(0, rows, piece):
        x[first : first + piece] = moons(piece, seed=first)[0]

flow = diffeo.maf(dim=2, hidden=(64, 64), activation="silu")
with h5py.File("moons-data.h5") as file, h5py.File("moons-scores.h5", "w") as scores:
    # At most a megabyte of rows at a time: by default 256, which would hold all of these.
    history = flow.fit(file["x"], max_epochs=3, lr=3e-3, rows_memory=2**20, progress=False)
    print(history)
    log_prob = flow.log_prob(file["x"], out=scores.create_dataset("log_prob", (rows,), np.float32))
    print(f"mean log-density {np.mean(log_prob):.3f} of {len(log_prob):,} rows")

flow.sample_to("moons-samples.h5", 1_000_000, seed=1)
with h5py.File("moons-samples.h5") as file:
    print(f"wrote {len(file['x']):,} samples, the first is {file['x'][0]}")
