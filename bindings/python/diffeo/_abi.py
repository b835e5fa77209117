"""The C ABI at work: the library found and loaded, errors raised, handles kept. What is in it is in `_interface`."""

from __future__ import annotations

import ctypes
import os
import re
import weakref
from collections.abc import Callable
from ctypes import Structure, byref, c_int32, c_size_t, sizeof
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _interface
from ._ctypes import Status
from ._interface import *  # noqa: F403
from ._interface import SIGNATURES, VERSION_NUMBER, Flow, Optimizer, Rows, Spec, Trainer, Vi, Workspace
from .errors import BY_STATUS, InternalError

Array: TypeAlias = npt.NDArray[np.floating[Any]]
CType: TypeAlias = Any  # a class of ctypes: their common base is not public

DTYPES = {"float" + name.removeprefix("f"): code for name, code in _interface.DTYPES.items()}

# --------------------------------------------------------------------------------------------------------- library


# What error texts are about, where it has another name in Python.
_ARGUMENTS = {
    "learning_rate": "lr",
    "validation_fraction": "validation",
    "hidden_count": "len(hidden)",
    "log_scale_low": "log_scales[0]",
    "log_scale_high": "log_scales[1]",
    "kernel_first": "kernels[0]",
    "kernel_hidden": "kernels[1]",
    "kernel_last": "kernels[2]",
}
_C_NAME = re.compile(rf"\b(?:{'|'.join(_ARGUMENTS)})\b")


def _raise_on_failure(status: Status, function: Any, arguments: tuple[Any, ...]) -> None:
    """Called by ctypes at once after the function, in its thread: the error text is that of this call."""
    if status.value != 0:
        text = _C_NAME.sub(lambda match: _ARGUMENTS[match[0]], lib.diffeo_last_error().decode("utf-8", "replace"))
        raise BY_STATUS.get(status.value, InternalError)(text)


def _find() -> Path:
    package = Path(__file__).resolve().parent
    if override := os.environ.get("DIFFEO_LIBRARY"):
        places = [Path(override)]
    else:
        checkout = (package / "../../..").resolve()
        places = [package / "libdiffeo.so", checkout / ".build/release/libdiffeo.so"]
    for place in places:
        if place.is_file():
            return place.resolve()  # what is a link may look for something beside the library
    raise ImportError(
        "diffeo needs its shared library, which is not at "
        + " nor at ".join(str(place) for place in places)
        + ": install the package with pip, build the library with make, or set DIFFEO_LIBRARY to its path"
    )


def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
        library.diffeo_version_number.restype = c_int32
        found = library.diffeo_version_number()
        # before 1.0 the interface may change with the minor version, never with the patch
        if found // 100 != VERSION_NUMBER // 100:
            raise ImportError(f"{path} is version {found} of diffeo, this package is made for {VERSION_NUMBER}")
        for name, (result, *arguments) in SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            if result is Status:
                function.errcheck = _raise_on_failure
    except (OSError, AttributeError) as error:
        raise ImportError(f"{path} is not a usable diffeo library: {error}") from error
    return library


lib = _load(_find())


def typed(name: str, dtype: np.dtype[Any]) -> Callable[..., None]:
    """The function of a pair for buffers of this dtype: float32 or float64."""
    function: Callable[..., None] = getattr(lib, name + ("_f32" if dtype == np.float32 else "_f64"))
    return function


# --------------------------------------------------------------------------------------------------------- handles


class Handle:
    """A C handle and the duty to destroy it: once, with its last reference, in the process that made it.

    An argument of a C function may be a Handle; the call then keeps it alive. A child after fork() leaves the handles
    of its parent alone, and at interpreter exit nothing is destroyed, since daemon threads may still be at work.
    """

    __slots__ = ("__weakref__", "_as_parameter_")

    def __init__(self, pointer: Any) -> None:
        self._as_parameter_ = pointer
        weakref.finalize(self, _destroy, pointer, os.getpid()).atexit = False


def _destroy(pointer: Any, owner: int) -> None:
    if os.getpid() == owner:
        _DESTROYERS[type(pointer)](pointer)


_DESTROYERS: dict[CType, Callable[[Any], None]] = {
    Workspace: lib.diffeo_workspace_destroy,
    Spec: lib.diffeo_spec_destroy,
    Flow: lib.diffeo_flow_destroy,
    Rows: lib.diffeo_rows_destroy,
    Trainer: lib.diffeo_trainer_destroy,
    Vi: lib.diffeo_vi_destroy,
    Optimizer: lib.diffeo_optimizer_destroy,
}


def create(kind: CType, function: Callable[..., None], *arguments: Any) -> Handle:
    """The handle that function writes to its last argument."""
    pointer = kind()
    function(*arguments, byref(pointer))
    return Handle(pointer)


def defaults(kind: type[Structure], function: Callable[..., None]) -> Any:
    """An options struct filled with its defaults by its *_init function."""
    options = kind()
    function(byref(options), sizeof(kind))
    return options


def bounds(option: str) -> tuple[float, float]:
    """The least and the greatest value that an option may have, such as "spline.bins"."""
    low, high = np.empty(1), np.empty(1)
    lib.diffeo_option_bounds(option.encode(), low, high)
    return float(low[0]), float(high[0])


def read_text(function: Callable[..., None], *arguments: Any) -> str:
    """The text of a function that writes text as snprintf does: asked for its length, then for itself."""
    length = c_size_t()
    function(*arguments, None, 0, byref(length))
    text = ctypes.create_string_buffer(length.value + 1)
    function(*arguments, text, len(text), None)
    return text.value.decode("utf-8")
