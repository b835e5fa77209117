"""diffeo convert: flows of other libraries."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ._data import check_weight_file

HELP = "turn a flow of another library into a weight file"
DESCRIPTION = (
    "Turn a flow of nflows, zuko, normflows, flowjax and others into a weight file, which computes the same: "
    "docs/exchange.md."
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """See `diffeo.cli`."""
    parser.add_argument("checkpoint", help="a state dict by torch.save, or leaves by equinox.tree_serialise_leaves")
    parser.add_argument(
        "--like",
        required=True,
        metavar="MODULE:FUNCTION",
        help="what builds the flow, without arguments: the weights are loaded into it",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FLOW.H5", help="the weight file to write")
    parser.add_argument(
        "--key", help="where the flow is in the checkpoint: keys, and the prefix of names, such as state_dict.flow"
    )
    parser.add_argument("--dtype", choices=["float32", "float64"], help="by default that of the weights")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """See `diffeo.cli`."""
    from ..exchange import convert, report
    from ..exchange._checkpoint import loaded

    check_weight_file(options.output, options.checkpoint)
    theirs, notes = loaded(_built(options.like), options.checkpoint, options.key)
    flow = convert(theirs, options.dtype)
    flow.save(options.output)
    if not options.quiet:
        print(f"{options.output}: {flow!r}")
        print("\n".join([str(report(flow)), *notes]))
    return {"output": options.output, "dim": flow.dim, "context_dim": flow.context_dim, "dtype": flow.dtype.name}


def _built(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"--like is {name!r}; it must be a module and a function, such as my_flow:build")
    if "" not in sys.path:
        sys.path.insert(0, "")
    with _its_imports(name):
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
    with _its_imports(name):
        return made()


@contextmanager
def _its_imports(name: str) -> Iterator[None]:
    """What is not installed is missing to the function, or is the function's own module."""
    try:
        yield
    except ImportError as error:
        raise ValueError(f"--like {name}: {error}") from error
