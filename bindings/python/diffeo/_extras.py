"""Libraries that are only needed for some functions, imported when these are called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {"sklearn": "scikit-learn", "scipy": "SciPy", "matplotlib": "Matplotlib"}


def optional(module: str, function: str, extra: str) -> Any:
    """Import the module; where it is not installed, an ImportError that says what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        name = _NAMES[module.partition(".")[0]]
        raise ImportError(f'{function} needs {name}: pip install "diffeo[{extra}]"') from error
