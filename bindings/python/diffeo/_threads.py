"""How many threads a call uses, and the workspace of each Python thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_int32

from . import _abi
from ._arrays import integer

_MAX_THREADS = int(_abi.bounds("workspace.threads")[1])
_local = threading.local()


def _available() -> int:
    return min(len(os.sched_getaffinity(0)), _MAX_THREADS)


def _initial() -> int:
    text = os.environ.get("DIFFEO_NUM_THREADS", "")
    if not text:
        return _available()
    if not (text.isdecimal() and 1 <= int(text) <= _MAX_THREADS):
        raise ValueError(f"DIFFEO_NUM_THREADS must be a whole number from 1 to {_MAX_THREADS}, not {text!r}")
    return int(text)


num_threads = c_int32(_initial())  # where callers that are not in Python find it, too


def set_num_threads(n: int | None) -> None:
    """Set how many threads every later call uses, in all Python threads.

    At first it is the environment variable ``DIFFEO_NUM_THREADS``, else as many as the process may run on. Results do
    not depend on it, not by a bit.

    Parameters
    ----------
    n : int or None
        1 to 256; None for as many as the process may run on.

    Examples
    --------
    >>> diffeo.set_num_threads(2)
    >>> diffeo.get_num_threads()
    2
    >>> diffeo.set_num_threads(None)
    """
    num_threads.value = _available() if n is None else integer(n, "n", 1, _MAX_THREADS)


def get_num_threads() -> int:
    """How many threads a call uses: see `set_num_threads`."""
    return getattr(_local, "threads", None) or num_threads.value


@contextmanager
def of_this_thread(n: int) -> Iterator[None]:
    """Calls of this Python thread use so many threads, whatever those of others use."""
    before, _local.threads = getattr(_local, "threads", None), n
    try:
        yield
    finally:
        _local.threads = before


def workspace() -> _abi.Handle:
    """The workspace of this thread: made at its first call, and anew in a forked child or for another thread count."""
    key = os.getpid(), get_num_threads()
    if getattr(_local, "key", None) != key:
        _local.workspace = _abi.create(_abi.Workspace, _abi.lib.diffeo_workspace_create, key[1])
        _local.key = key
    handle: _abi.Handle = _local.workspace
    return handle
