"""Flows of other libraries, with the same numbers, and the way back.

>>> flow = diffeo.convert(theirs)                                 # doctest: +SKIP
>>> flow.save("flow.h5")                                          # doctest: +SKIP
>>> theirs = diffeo.exchange.to_zuko(flow)                        # doctest: +SKIP
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError
from ..flow import Flow
from ..spec import Spec
from ._check import Source
from ._check import convert as _convert
from ._dispatch import own_class, unwrapped
from ._dispatch import source_of as _source_of
from ._error import ConversionError
from ._read import parts as _parts
from ._read import to_numpy
from ._report import Report, report

__all__ = [
    "ConversionError",
    "Report",
    "convert",
    "from_distrax",
    "from_flowjax",
    "from_freia",
    "from_glow_pytorch",
    "from_nflows",
    "from_normflows",
    "from_pyro",
    "from_tfp",
    "from_zuko",
    "report",
    "source_of",
    "to_flowjax",
    "to_nflows",
    "to_numpy",
    "to_onnx",
    "to_zuko",
]


def convert(flow: Any, dtype: npt.DTypeLike | None = None, *, before: Sequence[Flow | Spec] = ()) -> Flow:
    """Turn a flow of another library into one of Diffeo, which computes the same.

    Both sides are compared on random rows in float64: densities, noise, and the way back; `report` says what was found.
    The library is found by the class of the flow; see docs/exchange.md for what converts.

    Parameters
    ----------
    flow : object
        A trained flow of nflows, glasflow, zuko, normflows, flowjax, Pyro, FrEIA, distrax or TensorFlow Probability.
    dtype : {"float32", "float64"}, optional
        What the new flow computes in, also as a dtype of NumPy or torch; by default that of the weights.
    before : sequence of Spec or Flow
        What data goes through first, one after the other, and what stood beside the flow: a z-score, a logit, a
        permutation. See `Flow.after`.

    Returns
    -------
    Flow

    Raises
    ------
    ConversionError
        For a part that Diffeo has nothing for, by its path, or if the two sides differ.
    """
    converted = _converted(flow, None, dtype)
    for part in reversed(before):
        converted = converted.after(part)
    return converted


def source_of(flow: Any) -> Source:
    """Return the parts of a flow of another library, with the layers they become and what the library computes."""
    return _source_of(flow)


def _converted(flow: Any, library: str | None, dtype: npt.DTypeLike | None, **more: Any) -> Flow:
    chosen = _dtype(dtype)
    source = _source_of(flow, library, **more)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _convert(source, chosen)
    except FormatError as error:
        raise ConversionError("", source.name, f"Diffeo refuses it: {error}") from error
    except ConversionError as error:
        part = next((step.part for step in source.steps if step.path == error.path), unwrapped(flow))
        cause = own_class(part)
        if not cause or "differ" not in error.reason:
            raise
        raise ConversionError(error.path, part, f"{error.reason}: {cause}") from error


def _dtype(dtype: Any) -> str | None:
    if dtype is None:
        return None
    words = str(dtype)  # NumPy does not know those of torch
    try:
        name = words[6:] if words.startswith("torch.") else np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype is {dtype!r}; it must be float32 or float64")
    return name


def _named(library: str, words: str) -> Callable[..., Flow]:
    def convert(flow: Any, dtype: npt.DTypeLike | None = None) -> Flow:
        return _converted(flow, library, dtype)

    convert.__name__ = convert.__qualname__ = f"from_{library}"
    convert.__doc__ = f"Convert {words}: see `convert`."
    return convert


from_nflows = _named("nflows", "a flow of nflows or glasflow")
from_zuko = _named("zuko", "a flow of zuko")
from_normflows = _named("normflows", "a flow of normflows")
from_flowjax = _named("flowjax", "a distribution of flowjax")
from_pyro = _named("pyro", "a TransformedDistribution of Pyro, or of torch")
from_freia = _named("freia", "a SequenceINN of FrEIA, with standard normal noise")


def from_glow_pytorch(
    model: Any, height: int, width: int, *, quantization: int = 0, dtype: npt.DTypeLike | None = None
) -> Flow:
    """Convert a Glow of images in the layout of `rosinality/glow-pytorch`.

    Parameters
    ----------
    model : mapping or module
        A state dict, whose names and shapes say all but the size of the images; or the module itself: then both sides
        are compared on random images in float64.
    height, width : int
        Of the images that it was trained on, whose numbers are counts / quantization - 0.5 with noise.
    quantization : int, optional
        Number of values of the counts that images are, such as 32 for its five bits: the flow takes these. By default
        it takes what the module does, numbers from -0.5 to 0.5.
    dtype : {"float32", "float64"}, optional
        What the new flow computes in; by default that of the weights.

    Returns
    -------
    Flow

    Raises
    ------
    ConversionError
        If a tensor is missing, or the two sides differ.
    ValueError
        If `quantization` is neither 0 nor from 2 to 16777216.
    """
    if quantization and not 2 <= quantization <= 1 << 24:
        raise ValueError(f"quantization is {quantization}; it must be 0, or from 2 to {1 << 24}")
    converted: Flow = import_module(".glow_pytorch", __package__).convert(
        model, height, width, quantization, _dtype(dtype)
    )
    return converted


def from_distrax(flow: Any, dtype: npt.DTypeLike | None = None, *, context: int = 0) -> Flow:
    """Convert a Transformed distribution of distrax, or a function of so many columns of context that makes one.

    See `convert`.
    """
    return _converted(flow, "distrax", dtype, context=context)


def from_tfp(flow: Any, dtype: npt.DTypeLike | None = None, *, context: int = 0) -> Flow:
    """Convert a TransformedDistribution of TensorFlow Probability on JAX, or a function of a context that makes one.

    See `convert`.
    """
    return _converted(flow, "tfp", dtype, context=context)


def _quietly(exporter: str, flow: Flow) -> Any:
    parts = _parts(flow)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(exporter, __package__).flow(parts)


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
    return _quietly("._to_nflows", flow)


def to_zuko(flow: Flow) -> Any:
    """Turn a flow into one of zuko, which computes the same: `to_nflows`, for zuko.

    Returns
    -------
    zuko.lazy.Flow
    """
    return _quietly("._to_zuko", flow)


def to_flowjax(flow: Flow) -> Any:
    """Turn a flow into one of flowjax 19, which computes the same: `to_nflows`, for flowjax.

    Returns
    -------
    flowjax.distributions.Transformed
        Of a float64 flow its arrays are float64: JAX computes in it where `jax_enable_x64` is on.
    """
    return _quietly("._to_flowjax", flow)


def to_onnx(flow: Flow, path: str | os.PathLike[str], method: str = "log_prob") -> None:
    """Write one method of a flow as an ONNX file, for runtimes that Diffeo is not on.

    A file has one method, as the flow has it: the rest of a flow is in other files.

    Parameters
    ----------
    flow : Flow
        Of vectors.
    path : path-like
        The file.
    method : {"log_prob", "to_noise", "from_noise"}
        log_prob: from x [rows, dim] to log_prob [rows]; to_noise: from x to z [rows, dim] and log_det [rows];
        from_noise: from z to x and log_det. If the flow has a context, context [rows, context_dim] is an input, too.
        All are in the dtype of the flow. The metadata of the flow are those of the model.

    Raises
    ------
    ConversionError
        For a layer of images, by its path in the weight file, or if the two sides differ.
    """
    if method not in ("log_prob", "to_noise", "from_noise"):
        raise ValueError(f"method is {method!r}; it must be log_prob, to_noise or from_noise")
    parts = _parts(flow)
    import_module("._to_onnx", __package__).write(parts, path, method)
