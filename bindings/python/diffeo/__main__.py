"""The command line: python -m diffeo convert checkpoint.pt --like module:factory -o flow.h5."""

from __future__ import annotations

import argparse
import inspect
import sys
from importlib import import_module
from typing import Any

from .errors import Error
from .exchange import ConversionError, convert, report
from .exchange._checkpoint import loaded


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m diffeo", description="Diffeo: normalizing flows.")
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "convert",
        help="turn a flow of another library into a weight file",
        description="Turn a flow of nflows, zuko, normflows, flowjax and others into a weight file, which computes the "
        "same: docs/exchange.md.",
    )
    command.add_argument("checkpoint", help="a state dict by torch.save, or leaves by equinox.tree_serialise_leaves")
    command.add_argument(
        "--like",
        required=True,
        metavar="MODULE:FUNCTION",
        help="what builds the flow, without arguments: the weights are loaded into it",
    )
    command.add_argument("-o", "--output", required=True, metavar="FLOW.H5", help="the weight file to write")
    command.add_argument(
        "--key", help="where the flow is in the checkpoint: keys, and the prefix of names, such as state_dict.flow"
    )
    command.add_argument("--dtype", choices=["float32", "float64"], help="by default that of the weights")
    command.set_defaults(run=_convert)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (ConversionError, Error, OSError, ValueError, ImportError) as error:
        print(f"diffeo: {error}", file=sys.stderr)
        return 1
    return 0


def _convert(options: argparse.Namespace) -> None:
    flow = convert(loaded(_built(options.like), options.checkpoint, options.key), options.dtype)
    flow.save(options.output)
    print(f"{options.output}: {flow!r}")
    print(report(flow))


def _built(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"--like is {name!r}; it must be a module and a function, such as my_flow:build")
    if "" not in sys.path:
        sys.path.insert(0, "")
    made = import_module(module)
    for part in attribute.split("."):
        if not hasattr(made, part):
            raise ValueError(f"--like {name}: there is no {part!r}")
        made = getattr(made, part)
    if not isinstance(made, type) and (hasattr(made, "load_state_dict") or hasattr(made, "log_prob")):
        return made  # a flow
    if not callable(made):
        raise ValueError(f"--like {name}: it is {type(made).__qualname__}, not a function that builds the flow")
    wanted = [
        each.name
        for each in inspect.signature(made).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if wanted:
        reason = f"it wants {', '.join(wanted)}; a function without arguments must build the flow"
        raise ValueError(f"--like {name}: {reason}")
    return made()


if __name__ == "__main__":
    sys.exit(main())
