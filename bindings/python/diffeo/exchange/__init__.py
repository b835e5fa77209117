"""Flows of other libraries, with the same numbers.

>>> flow = diffeo.convert(theirs)                                 # doctest: +SKIP
>>> flow.save("flow.h5")                                          # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import FormatError
from ..flow import Flow
from ._check import Source
from ._check import convert as _convert
from ._error import ConversionError

__all__ = ["ConversionError", "convert", "from_flowjax", "from_nflows", "from_normflows", "from_zuko"]

LIBRARIES = ("nflows", "zuko", "normflows", "flowjax")


def convert(flow: Any, dtype: str | None = None) -> Flow:
    """Turn a flow of another library into one of Diffeo, which computes the same.

    Both sides are compared on random rows in float64: densities, noise, and the way back. The library is found by the
    class of the flow; see docs/exchange.md for what converts.

    Parameters
    ----------
    flow : object
        A trained flow of nflows, glasflow, zuko, normflows or flowjax.
    dtype : {"float32", "float64"}, optional
        What the new flow computes in; by default that of the weights.

    Returns
    -------
    Flow

    Raises
    ------
    ConversionError
        For a part that Diffeo has nothing for, by its path, or if the two sides differ.
    """
    for kind in type(flow).__mro__:
        root = kind.__module__.partition(".")[0]
        for library in LIBRARIES:
            converter = import_module(f".{library}", __package__)
            if root in getattr(converter, "MODULES", (library,)):
                return _made(converter.source(flow), dtype)
    names = ", ".join(LIBRARIES)
    raise ConversionError("", flow, f"it is a flow of none of {names}")


def _made(source: Source, dtype: str | None) -> Flow:
    try:
        return _convert(source, dtype)
    except FormatError as error:
        raise ConversionError("", source.name, f"Diffeo refuses it: {error}") from error


def from_nflows(flow: Any, dtype: str | None = None) -> Flow:
    """Convert a flow of nflows or glasflow: see `convert`."""
    return _made(import_module(".nflows", __package__).source(flow), dtype)


def from_zuko(flow: Any, dtype: str | None = None) -> Flow:
    """Convert a flow of zuko: see `convert`."""
    return _made(import_module(".zuko", __package__).source(flow), dtype)


def from_normflows(flow: Any, dtype: str | None = None) -> Flow:
    """Convert a flow of normflows: see `convert`."""
    return _made(import_module(".normflows", __package__).source(flow), dtype)


def from_flowjax(flow: Any, dtype: str | None = None) -> Flow:
    """Convert a distribution of flowjax: see `convert`."""
    return _made(import_module(".flowjax", __package__).source(flow), dtype)
