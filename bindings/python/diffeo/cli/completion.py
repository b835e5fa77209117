"""diffeo completion: what a shell completes commands by."""

from __future__ import annotations

import argparse
from typing import Any

from ._show import needs

HELP = "print what a shell completes commands by"
DESCRIPTION = (
    "Print a script of completions: diffeo completion bash > ~/.local/share/bash-completion/completions/diffeo, or, in "
    'zsh, diffeo completion zsh > a file _diffeo in a folder of $fpath. It needs shtab: pip install "diffeo[shell]".'
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"])


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    try:
        shtab = needs("shtab", "shtab", "completion")
    except ImportError:
        raise ImportError('completion needs shtab: pip install "diffeo[shell]"') from None
    print(shtab.complete(options.parser, options.shell))
    return {}
