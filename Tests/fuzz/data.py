#!/usr/bin/env python3
"""Writes Tests/fuzz/data: small files of rows to train on, in the ways that HDF5 has of storing them, for fuzz.c."""

from pathlib import Path

import h5py
import numpy as np

FOLDER = Path(__file__).parent / "data"
X = np.linspace(-1, 1, 96).reshape(32, 3)
# What HDF5 1.10 reads.
LATEST = ("v110", "v110")
RECORDS = np.zeros(32, [("a", "f4"), ("b", "<i2"), ("c", "f8")])

# Options of the file, and of the data set.
KINDS = {
    "contiguous": ({}, {"data": X}),
    "compact": ({}, {"data": X[:8].astype("f4")}),
    "chunked": ({}, {"data": X, "chunks": (10, 3), "maxshape": (None, 3)}),
    "filtered": ({}, {"data": X, "chunks": (8, 3), "compression": "gzip", "shuffle": True, "fletcher32": True}),
    "columns": ({}, {"data": X, "chunks": (16, 1)}),
    "big-endian": ({}, {"data": X.astype(">f4")}),
    "integers": ({}, {"data": np.arange(96, dtype="u1").reshape(32, 3)}),
    "half": ({}, {"data": X.astype("f2")}),
    "records": ({}, {"data": RECORDS}),
    "user-block": ({"userblock_size": 512}, {"data": X}),
    "latest": ({"libver": LATEST}, {"data": X, "chunks": (10, 3), "maxshape": (None, None)}),
    "latest-array": ({"libver": LATEST}, {"data": X, "chunks": (10, 3), "maxshape": (None, 3)}),
    "latest-fixed": ({"libver": LATEST}, {"data": X, "chunks": (10, 3), "compression": "gzip"}),
    "scaled": ({}, {"data": X, "chunks": (10, 3), "scaleoffset": 4, "compression": "gzip"}),
    "szip": ({}, {"data": X, "chunks": (10, 3), "compression": "szip"}),
    "latest-one": ({"libver": LATEST}, {"data": X, "chunks": (32, 3)}),
    # Of so many chunks that trees have nodes below nodes.
    "tree": ({}, {"data": X, "chunks": (1, 1)}),
    "latest-tree": ({"libver": LATEST}, {"data": X, "chunks": (1, 1), "maxshape": (None, None)}),
    "latest-filtered": (
        {"libver": LATEST},
        {"data": X, "chunks": (1, 1), "maxshape": (None, None), "compression": "gzip"},
    ),
}
# Of links to nowhere beside the rows, in these.
LINKS = {"tree": 300, "latest-tree": 60}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, (of_file, of_rows) in KINDS.items():
        with h5py.File(FOLDER / f"{name}.h5", "w", **of_file) as file:
            rows = file.create_dataset("in/x", **of_rows)
            rows.attrs["units"] = "GeV"
            file["w"] = np.ones(len(rows))
            file["other/y"] = X
            for i in range(LINKS.get(name, 0)):
                file[f"in/{i}"] = h5py.SoftLink("/nowhere")
