"""Flows of other libraries, with the same numbers, and the way back.

>>> flow = diffeo.convert(theirs)                                 # doctest: +SKIP
>>> flow.save("flow.h5")                                          # doctest: +SKIP
>>> theirs = diffeo.exchange.to_zuko(flow)                        # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..errors import FormatError
from ..flow import Flow
from ._check import Source
from ._check import convert as _convert
from ._error import ConversionError
from ._read import parts as _parts
from ._read import to_numpy

__all__ = [
    "ConversionError",
    "convert",
    "from_distrax",
    "from_flowjax",
    "from_freia",
    "from_nflows",
    "from_normflows",
    "from_pyro",
    "from_tfp",
    "from_zuko",
    "source_of",
    "to_nflows",
    "to_numpy",
    "to_onnx",
    "to_zuko",
]

LIBRARIES = ("nflows", "zuko", "normflows", "flowjax", "pyro", "freia", "distrax", "tfp")


def convert(flow: Any, dtype: str | None = None) -> Flow:
    """Turn a flow of another library into one of Diffeo, which computes the same.

    Both sides are compared on random rows in float64: densities, noise, and the way back. The library is found by the
    class of the flow; see docs/exchange.md for what converts.

    Parameters
    ----------
    flow : object
        A trained flow of nflows, glasflow, zuko, normflows, flowjax, Pyro, FrEIA, distrax or TensorFlow Probability.
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
    return _made(source_of(flow), dtype)


def source_of(flow: Any) -> Source:
    """Return the parts of a flow of another library, with the layers they become and what the library computes."""
    for kind in type(flow).__mro__:
        root = kind.__module__.partition(".")[0]
        for library in LIBRARIES:
            converter = import_module(f".{library}", __package__)
            if root in converter.MODULES:
                source: Source = converter.source(flow)
                return source
    names = ", ".join(LIBRARIES)
    raise ConversionError("", flow, f"it is a flow of none of {names}")


def _made(source: Source, dtype: str | None) -> Flow:
    try:
        return _convert(source, dtype)
    except FormatError as error:
        raise ConversionError("", source.name, f"Diffeo refuses it: {error}") from error


def _named(library: str, words: str) -> Callable[..., Flow]:
    def convert(flow: Any, dtype: str | None = None) -> Flow:
        return _made(import_module(f".{library}", __package__).source(flow), dtype)

    convert.__name__ = convert.__qualname__ = f"from_{library}"
    convert.__doc__ = f"Convert {words}: see `convert`."
    return convert


from_nflows = _named("nflows", "a flow of nflows or glasflow")
from_zuko = _named("zuko", "a flow of zuko")
from_normflows = _named("normflows", "a flow of normflows")
from_flowjax = _named("flowjax", "a distribution of flowjax")
from_pyro = _named("pyro", "a TransformedDistribution of Pyro, or of torch")
from_freia = _named("freia", "a SequenceINN of FrEIA, with standard normal noise")


def from_distrax(flow: Any, dtype: str | None = None, *, context: int = 0) -> Flow:
    """Convert a Transformed distribution of distrax, or a function of so many columns of context that makes one.

    See `convert`.
    """
    return _made(import_module(".distrax", __package__).source(flow, context), dtype)


def from_tfp(flow: Any, dtype: str | None = None, *, context: int = 0) -> Flow:
    """Convert a TransformedDistribution of TensorFlow Probability on JAX, or a function of a context that makes one.

    See `convert`.
    """
    return _made(import_module(".tfp", __package__).source(flow, context), dtype)


def to_nflows(flow: Flow) -> Any:
    """Turn a flow into one of nflows, which computes the same: see docs/exchange.md for what can be.

    Returns
    -------
    nflows.flows.Flow
        In the dtype of the flow and in evaluation mode; its parameters can be trained on. Both sides were compared on
        random rows in float64.

    Raises
    ------
    ConversionError
        For a layer or a base that nflows has nothing for, by its path in the weight file, or if the two sides differ.
    """
    return import_module("._to_nflows", __package__).flow(_parts(flow))


def to_zuko(flow: Flow) -> Any:
    """Turn a flow into one of zuko, which computes the same: `to_nflows`, for zuko.

    Returns
    -------
    zuko.lazy.Flow
    """
    return import_module("._to_zuko", __package__).flow(_parts(flow))


def to_onnx(flow: Flow, path: str | os.PathLike[str]) -> None:
    """Write the log-density of a flow as an ONNX file, for runtimes that Diffeo is not on.

    Its inputs are x [rows, dim] and, if the flow has one, context [rows, context_dim]; its output is log_prob [rows],
    all in the dtype of the flow. The metadata of the flow are those of the model.

    Raises
    ------
    ConversionError
        For a layer or a base that is not made of affine maps, by its path in the weight file.
    """
    import_module("._to_onnx", __package__).write(_parts(flow), path)
