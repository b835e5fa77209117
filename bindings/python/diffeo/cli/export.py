"""diffeo export: a flow for programs without Diffeo."""

from __future__ import annotations

import argparse
import os
import tempfile
from typing import Any

import numpy as np

from .._files import folder
from ..flow import load
from ._data import check_output
from ._show import dumps

HELP = "write a flow for programs without Diffeo: ONNX, or plain arrays"
DESCRIPTION = (
    "Write the log-density of a flow as an ONNX graph (of vectors; most layers), or all of any flow as arrays: by "
    "their paths in docs/weight-file.md, and what it has as attributes under the name attributes, as text in JSON."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""
    parser.add_argument("flow", metavar="FLOW", help="a weight file")
    format = parser.add_mutually_exclusive_group(required=True)
    format.add_argument("--onnx", metavar="OUT", help="an ONNX file: x, context to log_prob")
    format.add_argument("--numpy", metavar="OUT", help="an .npz file of NumPy")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    from ..exchange import to_numpy, to_onnx

    path = options.onnx or options.numpy
    ending, needed = (".onnx", "an ONNX file") if options.onnx else (".npz", "a file of arrays")
    check_output(path, (ending,), f"not {ending}, as {needed} is", options.flow)
    flow = load(options.flow)
    if options.onnx:
        to_onnx(flow, path)
    else:
        found = to_numpy(flow)
        arrays: dict[str, Any] = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
        attributes = {name: value for name, value in found.items() if name not in arrays}
        with tempfile.TemporaryDirectory(dir=folder(path), prefix=".diffeo-") as within:
            whole = os.path.join(within, "flow.npz")
            with open(whole, "wb") as file:
                np.savez(file, **arrays, attributes=np.array(dumps(attributes)))
            os.replace(whole, path)
    if not options.quiet:
        print(f"{path}: {flow!r}")
    return {"output": path}
