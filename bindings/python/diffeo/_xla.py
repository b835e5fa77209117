"""Flows as custom calls of XLA: a small library, compiled where it is first wanted and kept for the user."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

import jax
import jaxlib

from . import _abi
from ._threads import num_threads

EVALUATION, DERIVATIVE = "diffeo_xla_evaluation", "diffeo_xla_derivative"

_PACKAGE = Path(__file__).resolve().parent
_SOURCE = _PACKAGE / "_xla.cc"
_SECONDS = 600  # that a compiler may take
_one_at_a_time = threading.Lock()


class UnavailableError(Exception):
    """Why there are no custom calls."""


def library() -> tuple[ctypes.CDLL | None, str]:
    """The library, of which XLA then knows, and where it is; or None, and why there is none. Found once."""
    with _one_at_a_time:
        return _found()


@functools.cache
def _found() -> tuple[ctypes.CDLL | None, str]:
    try:
        path = _path()
        try:
            loaded = ctypes.CDLL(str(path))
        except OSError:  # not there yet, or damaged
            _compile(path)
            loaded = ctypes.CDLL(str(path))
        _register(loaded)
    except (UnavailableError, OSError, RuntimeError, AttributeError, ValueError) as error:
        return None, str(error)
    return loaded, str(path)


def number_of(flow: Any, owner: object) -> int:
    """A number by which computations name a flow while the owner lives; the same for the same flow in every process."""
    loaded, why = library()
    if loaded is None:
        raise UnavailableError(why)
    number = int.from_bytes(hashlib.sha256(flow.to_bytes()).digest()[:8], "little") >> 1
    if loaded.diffeo_xla_add(number, flow._handle) != 0:
        raise MemoryError("memory for a flow could not be had")
    weakref.finalize(owner, loaded.diffeo_xla_remove, number).atexit = False
    return number


def _header() -> Path:
    """diffeo.h: in the wheel it is beside the source, in a checkout in its place."""
    for folder in (_PACKAGE, _PACKAGE.parents[2] / "include"):
        if (folder / "diffeo.h").is_file():
            return folder / "diffeo.h"
    raise UnavailableError(f"there is no diffeo.h in {_PACKAGE}")


def _path() -> Path:
    content = hashlib.sha256(_SOURCE.read_bytes() + _header().read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "diffeo" / f"xla-{jaxlib.__version__}-{platform.machine()}-{content}.so"


def _compile(path: Path) -> None:
    """Compile to the path, as a whole or not at all: others may do the same at the same time."""
    named = shlex.split(os.environ.get("CXX", ""))
    compiler = named or [name for name in ("c++", "g++", "clang++") if shutil.which(name)][:1]
    if not compiler:
        raise UnavailableError("there is no C++ compiler: no c++, g++ or clang++, nor is CXX set")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder, path.name)
        command = [*compiler, "-std=c++17", "-O1", "-fPIC", "-shared", "-I", str(_header().parent)]
        command += ["-isystem", jax.ffi.include_dir(), str(_SOURCE), "-o", str(made), "-ldl"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"{compiler[0]} took more than {_SECONDS} s") from None
        if done.returncode != 0:
            said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-500:])
            raise UnavailableError(f"{compiler[0]} ended with {done.returncode}: {said}")
        made.replace(path)


def _register(loaded: ctypes.CDLL) -> None:
    loaded.diffeo_xla_add.argtypes = [ctypes.c_int64, ctypes.c_void_p]
    loaded.diffeo_xla_remove.argtypes = [ctypes.c_int64]
    loaded.diffeo_xla_remove.restype = None
    loaded.diffeo_xla_open.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    loaded.diffeo_xla_open.restype = None
    loaded.diffeo_xla_share_id.restype = loaded.diffeo_xla_share_info.restype = ctypes.c_void_p
    loaded.diffeo_xla_open(_abi.lib._handle, ctypes.addressof(num_threads))
    of_type = {"type_id": loaded.diffeo_xla_share_id(), "type_info": loaded.diffeo_xla_share_info()}
    jax.ffi.register_ffi_type("diffeo_xla_share", {name: jax.ffi.pycapsule(at) for name, at in of_type.items()})
    for name in (EVALUATION, DERIVATIVE):
        stages = {"instantiate": loaded.diffeo_xla_share, "execute": getattr(loaded, name)}
        jax.ffi.register_ffi_target(
            name, {stage: jax.ffi.pycapsule(function) for stage, function in stages.items()}, platform="cpu"
        )
