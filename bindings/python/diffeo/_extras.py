"""Libraries that are only needed for some functions, imported when these are called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {  # where a library is not called as it is imported
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
    "matplotlib": "Matplotlib",
    "argparse_manpage": "argparse-manpage",
}


def optional(module: str, what: str, extra: str) -> Any:
    """Import the module that a function or a command needs; without it, an ImportError that says what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise ImportError(f'{what} needs {_NAMES.get(library, library)}: pip install "diffeo[{extra}]"') from error
