"""Paths, as the library takes them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeAlias

from .errors import FileError, MissingFileError

Path: TypeAlias = str | os.PathLike[str]


def encoded(path: Path) -> bytes:
    """The bytes of a path."""
    given = os.fsencode(path)
    if b"\0" in given:
        raise ValueError(f"a path must not have a null character: {path!r}")
    return given


@contextmanager
def missing_is(path: Path, needed: Path) -> Iterator[None]:
    """Turn the error of a file operation into FileNotFoundError where `needed` does not exist."""
    try:
        yield
    except FileError as error:
        if os.path.exists(needed):
            raise
        raise MissingFileError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path)) from error


def folder(path: Path) -> str:
    """Where the file is."""
    return os.path.dirname(os.path.abspath(os.fspath(path)))
