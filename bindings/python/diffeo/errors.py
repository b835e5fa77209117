"""What can go wrong, one class a status of the C ABI.

Each class also derives from the built-in exception it resembles, so that ``except ValueError`` and ``except OSError``
work as usual, and ``except diffeo.Error`` catches everything the library reports.
"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """Base of all errors of the library.

    Attributes
    ----------
    status : int
        The status of the C ABI, such as -3.
    name : str
        Its name there, such as ``"DIFFEO_ESHAPE"``.
    """

    status: ClassVar[int]
    name: ClassVar[str]


class InvalidArgumentError(Error, ValueError):
    """An argument is negative, out of range or contradicts another."""

    status, name = -1, "DIFFEO_EINVAL"


class OutOfMemoryError(Error, MemoryError):
    """Memory could not be had."""

    status, name = -2, "DIFFEO_ENOMEM"


class ShapeError(Error, ValueError):
    """A count of rows or columns does not fit the flow."""

    status, name = -3, "DIFFEO_ESHAPE"


class DtypeError(Error, ValueError):
    """An unknown dtype."""

    status, name = -4, "DIFFEO_EDTYPE"


class FileError(Error, OSError):
    """A file could not be opened, read or written."""

    status, name = -5, "DIFFEO_EIO"


class MissingFileError(FileError, FileNotFoundError):
    """The file to read, or the folder to write to, does not exist."""


class FormatError(Error, ValueError):
    """A file is not a valid weight file."""

    status, name = -6, "DIFFEO_EFORMAT"


class VersionError(Error, ValueError):
    """A file was written by a newer, incompatible version."""

    status, name = -7, "DIFFEO_EVERSION"


class NumericError(Error, ArithmeticError):
    """Training diverged, the data has NaN or infinities, or a column is constant."""

    status, name = -8, "DIFFEO_ENUMERIC"


class CancelledError(Error):
    """Stopped because the caller asked for it."""

    status, name = -9, "DIFFEO_ECANCELLED"


class StateError(Error, RuntimeError):
    """The call does not fit the state of the object."""

    status, name = -10, "DIFFEO_ESTATE"


class UnsupportedError(Error, NotImplementedError):
    """Valid, but this version cannot do it."""

    status, name = -11, "DIFFEO_EUNSUPPORTED"


class InternalError(Error, RuntimeError):
    """A bug in the library: please report it."""

    status, name = -127, "DIFFEO_EINTERNAL"


class TrainingWarning(UserWarning):
    """Data or a training is not as it should be, though nothing fails: see `Trainer` and `Flow.fit`."""


BY_STATUS: dict[int, type[Error]] = {kind.status: kind for kind in Error.__subclasses__()}
