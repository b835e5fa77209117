"""Types of arguments that ctypes does not have."""

from __future__ import annotations

from ctypes import c_int32, c_void_p
from typing import Any, ClassVar

import numpy as np


class Status(c_int32):
    """Result of a fallible function: turned into an exception when the library is loaded by `_abi`."""


class Buffer(c_void_p):
    """A pointer argument that takes NumPy arrays of one dtype, C-contiguous and aligned, or None for NULL."""

    dtype: ClassVar[np.dtype[Any]]

    @classmethod
    def from_param(cls, value: Any, /) -> Any:
        if value is None:
            return None
        flags = value.flags if isinstance(value, np.ndarray) and value.dtype == cls.dtype else None
        if not (flags and flags.c_contiguous and flags.aligned):
            raise TypeError(f"expected a C-contiguous {cls.dtype} array, not {value!r}")
        return value.ctypes


class Float32s(Buffer):
    dtype = np.dtype(np.float32)


class Float64s(Buffer):
    dtype = np.dtype(np.float64)


class Int64s(Buffer):
    dtype = np.dtype(np.int64)


class UInt8s(Buffer):
    dtype = np.dtype(np.uint8)
