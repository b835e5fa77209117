"""The command line: ``diffeo COMMAND``, or ``python -m diffeo COMMAND``. Its page is docs/command-line.md.

A command is a module with a `HELP`, a `DESCRIPTION`, `arguments(parser)` and `run(options)`, which gives what --json
prints. To add one, write it and put it into `COMMANDS`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from .._abi import VERSION_STRING
from . import check, completion, convert, export, fit, info, man, sample, score, to_noise
from ._show import StoppedError, sentence


class Command(Protocol):
    """What a module of a command has."""

    HELP: str
    DESCRIPTION: str

    @staticmethod
    def arguments(parser: argparse.ArgumentParser) -> None:
        """Add its arguments."""

    @staticmethod
    def run(options: argparse.Namespace) -> dict[str, Any]:
        """Do it; what was found, for --json."""


COMMANDS: dict[str, Any] = {
    "fit": fit,
    "score": score,
    "sample": sample,
    "to-noise": to_noise,
    "info": info,
    "check": check,
    "convert": convert,
    "export": export,
    "completion": completion,
    "man": man,
}

_EPILOG = (
    "exit status: 0, it was done; 1, it could not be, and a sentence on stderr says why; 2, the command was not "
    "understood; 130 and 143, it was ended by Ctrl-C or SIGTERM: the same command with --resume goes on."
)


def parser() -> argparse.ArgumentParser:
    """Of all commands: help, completion and the man page are made from it."""
    whole = argparse.ArgumentParser(
        prog="diffeo",
        description="Normalizing flows: train them on files of rows, and have their densities and samples.",
        epilog=_EPILOG,
    )
    whole.add_argument("--version", action="version", version=f"diffeo {VERSION_STRING}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.DESCRIPTION)
        module.arguments(command)
        if name not in ("completion", "man"):
            command.add_argument("--json", action="store_true", help="print what was found as one object of JSON")
            command.add_argument("-q", "--quiet", action="store_true", help="show no progress, and no table")
        command.set_defaults(run=module.run, parser=whole)
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    options = parser().parse_args(arguments)
    as_json = getattr(options, "json", False)
    options.quiet = getattr(options, "quiet", False) or as_json
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        # Samples without a seed are drawn with another one the next time.
        resumable = hasattr(options, "resume") and getattr(options, "seed", 0) is not None
        again = ": the same command with --resume goes on" if resumable else ""
        try:
            with _stopped_by_sigterm(f"stopped by SIGTERM{again}"):
                found = options.run(options)
            if as_json:
                print(json.dumps(found, ensure_ascii=False))
            if sys.stdout is not None:  # as it is where nobody listens
                sys.stdout.flush()
            return 0
        except KeyboardInterrupt:
            return _fail(f"interrupted{again}", 130, as_json)
        except StoppedError as stop:
            return _fail(str(stop), stop.status, as_json)
        except BrokenPipeError:  # who read it wants no more
            return 1
        except Exception as error:
            return _fail(sentence(error), 1, as_json)
        finally:
            _drop_unwritten()


def _drop_unwritten() -> None:
    """What stdout does not take, of which Python would speak in the end in words of its own."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _stopped_by_sigterm(text: str) -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does; a training hears it between two steps, and is saved."""

    def stop(*_: object) -> None:
        raise StoppedError(text, 143)

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _fail(text: str, status: int, as_json: bool) -> int:
    print(f"diffeo: {text}", file=sys.stderr)
    if as_json:
        with suppress(OSError):
            print(json.dumps({"error": text}, ensure_ascii=False))
    return status


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"diffeo: warning: {message}", file=sys.stderr)
