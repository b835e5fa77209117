"""diffeo completion: what a shell completes commands by."""

from __future__ import annotations

import argparse
from typing import Any

from .._extras import optional

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
    shtab = optional("shtab", "completion", "shell")
    print(shtab.complete(options.parser, options.shell))
    return {}
