"""diffeo man: the man page, from the texts of the commands."""

from __future__ import annotations

import argparse
from typing import Any

from .._abi import VERSION_STRING
from .._extras import optional

HELP = "print the man page"
DESCRIPTION = (
    "Print a page for man: diffeo man > ~/.local/share/man/man1/diffeo.1. It needs argparse-manpage: "
    'pip install "diffeo[shell]".'
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    manpage = optional("argparse_manpage.manpage", "the man page", "shell")
    about = {
        "project_name": "diffeo",
        "version": VERSION_STRING,
        "manual_title": "Diffeo",
        "format": "single-commands-section",
    }
    print(manpage.Manpage(options.parser, _data=about, format=about["format"]))
    return {}
