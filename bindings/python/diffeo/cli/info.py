"""diffeo info: what is in a weight file."""

from __future__ import annotations

import argparse
from typing import Any

from .._columns import Columns
from ..flow import load

HELP = "tell what a weight file holds"
DESCRIPTION = (
    "Print layers, columns and metadata of a flow. To load it is to check it: its log-densities of the rows in its "
    "self-test are computed again."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""
    parser.add_argument("flow", metavar="FLOW", help="a weight file")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    flow = load(options.flow)
    metadata = {key: value for key, value in flow.metadata.items() if not key.startswith("diffeo.")}
    rows = _self_test(options.flow)
    if not options.quiet:
        print(str(flow).rstrip("\n"))
        for key, value in metadata.items():
            print(f"  {key} = {value}")
        print("  " + _told(rows))
    elif not options.json:
        print(repr(flow))
    return {
        "dim": flow.dim,
        "shape": list(flow.shape),
        "context_dim": flow.context_dim,
        "dtype": flow.dtype.name,
        "layers": flow.layer_count,
        "parameters": flow.parameter_count,
        "summary": str(flow),
        "columns": _columns(flow.columns),
        "context_columns": _columns(flow.context_columns),
        "metadata": metadata,
        "self_test_rows": rows,
    }


def _columns(columns: Columns | None) -> list[dict[str, Any]] | None:
    return None if columns is None else [column.to_json() for column in columns]


def _self_test(path: str) -> int | None:
    """Rows of it; None if nothing here can read HDF5."""
    try:
        import h5py
    except ImportError:
        return None
    with h5py.File(path, "r") as file:
        return len(file["self_test/x"]) if "self_test/x" in file else 0


def _told(rows: int | None) -> str:
    if rows is None:
        return "self-test: passed, if the file has one (to count its rows, install h5py)"
    return f"self-test: passed, {rows} rows" if rows else "self-test: the file has none"
