"""Checkpoints of the command line: weights are found in them and loaded into a flow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ._dispatch import unwrapped

WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and torch.compile, before every name
# Names in earlier versions and in those of today, wherever all that is wanted fits then
RENAMED = ((r"^transforms\.", "transform.transforms."),)  # zuko before 1.0
DERIVED = ("_log_z",)  # constants that some versions of nflows store
# What the names of today do not say of a flow of zuko with those of an earlier version
EARLIER = (
    "its names are those of zuko before 1.6, and do not say which: from 1.0.1 to 1.4 the smallest slopes were "
    "1e-4, not 1e-3; if it is of these, build the flow with slope=1e-4 (docs/exchange.md)"
)


def loaded(flow: Any, path: str, key: str | None) -> tuple[Any, list[str]]:
    """The flow with the weights of a checkpoint, and what there is to know of it.

    A ValueError of one line says why it cannot be.
    """
    flow = unwrapped(flow)
    if hasattr(flow, "load_state_dict"):
        stored, wanted = _names(_tensors(path)), flow.state_dict()
        found = _under(stored, f"{key.rstrip('.')}." if key else "")
        found = unprefixed(found, wanted)
        notes = [EARLIER] if _is_earlier(found, wanted) else []
        found = _renamed(found, wanted)
        try:
            flow.load_state_dict(found)
        except RuntimeError as error:
            raise ValueError(_misfit(wanted, found, stored, path)) from error
        return flow, notes
    try:
        from equinox import tree_deserialise_leaves
    except ImportError:
        raise ValueError(
            f"a {type(flow).__qualname__} has no state dict, as flows in PyTorch have, and equinox, which reads what "
            "others have, is not installed"
        ) from None

    try:
        return tree_deserialise_leaves(path, flow), []
    except OSError:
        raise
    except Exception as error:  # of whatever reads the leaves
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{path} has not the leaves of a {type(flow).__qualname__}: {reason}") from error


def unprefixed(found: Mapping[str, Any], wanted: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Without what DataParallel and torch.compile have put before every name, or as much of it as is not wanted."""
    for prefix in WRAPPERS * 2:
        if (wanted is None or found.keys() != wanted.keys()) and all(name.startswith(prefix) for name in found):
            found = _under(found, prefix)
    return dict(found)


def _renamed(found: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """With the names of today, if those of an earlier version can be told: then all that is wanted is there."""
    kept = {name: value for name, value in found.items() if name in wanted or name.rpartition(".")[2] not in DERIVED}
    for pattern, today in (("", ""), *RENAMED):
        new = {re.sub(pattern, today, name) if pattern else name: value for name, value in kept.items()}
        new = _named(new, wanted)
        if new.keys() == wanted.keys():
            return new
    return found


def _named(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """With names in place of numbers: zuko had the arguments of a distribution or transform as _0, _1 and so on."""
    names: dict[str, str] = {}
    for owner in {name.rpartition("._")[0] for name in found if re.search(r"(^|\.)_\d+$", name)}:
        old = sorted((n for n in found if re.fullmatch(re.escape(owner) + r"\._\d+", n)), key=_number)
        new = [name for name in wanted if name.rpartition(".")[0] == owner and name not in found]
        if [found[name].shape for name in old] == [wanted[name].shape for name in new]:
            names |= dict(zip(old, new, strict=True))
    return {names.get(name, name): value for name, value in found.items()}


def _is_earlier(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether it is of zuko 1.0 to 1.5: arguments by their number, but the transforms where they are today."""
    numbered = [name for name in found if re.search(r"(^|\.)_\d+$", name) and name not in wanted]
    return bool(numbered) and any(name.startswith("transform.") for name in found)


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _tensors(path: str) -> Any:
    """What a file has; tensors only: a checkpoint that is a whole pickled program is not run."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # of pickle, zipfile and torch
        kind = re.search(r"GLOBAL (\S+) was not an allowed global", str(error))
        what = f"has a pickled {kind[1]}" if kind else "is no checkpoint of PyTorch"
        advice = "save the tensors alone, torch.save(flow.state_dict(), ...)"
        raise ValueError(f"{path} {what}, and only tensors are read: {advice}") from error


def _names(state: Any, path: str = "") -> dict[str, Any]:
    """Tensors by their path in dictionaries, with dots between keys."""
    if not isinstance(state, Mapping):
        return {path: state} if hasattr(state, "shape") else {}
    return {
        name: value
        for key, inner in state.items()
        for name, value in _names(inner, f"{path}.{key}" if path else str(key)).items()
    }


def _misfit(wanted: Mapping[str, Any], found: Mapping[str, Any], stored: Mapping[str, Any], path: str) -> str:
    """Why what is found is not what is wanted."""
    missing = [name for name in wanted if name not in found]
    unknown = [name for name in found if name not in wanted]
    if not found:
        return f"{path} has nothing there; {_hint(wanted, stored)}"
    if missing or unknown:
        differ = [f"{what} {_few(names)}" for what, names in (("lacks", missing), ("has besides", unknown)) if names]
        hint = _hint(wanted, stored)
        if not hint.endswith("does") and [found[name].shape for name in unknown] == [
            wanted[name].shape for name in missing
        ]:
            pairs = _few([f"{old} to {new}" for old, new in zip(unknown, missing, strict=True)])
            hint = f"the shapes are the same, in this order: if only names have changed, rename {pairs}"
        return f"{path} does not fit the flow: it {' and '.join(differ)}; {hint}"
    for name, value in wanted.items():
        if value.shape != found[name].shape:
            shapes = f"{tuple(found[name].shape)}, that of the flow {tuple(value.shape)}"
            return f"{path} does not fit the flow: the shape of {name} is {shapes}"
    return f"{path} does not fit the flow"


def _under(stored: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name[len(prefix) :]: value for name, value in stored.items() if name.startswith(prefix)}


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more


def _hint(wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    """The key under which all that is wanted is found, or else those there are."""
    first = next(iter(wanted), "")
    for name in stored:
        key = name[: -len(first) - 1]
        if name.endswith(f".{first}") and wanted.keys() == _under(stored, f"{key}.").keys():
            return f"--key {key} does"
    tops = list(dict.fromkeys(name.partition(".")[0] for name in stored))
    return (
        f"--key can be where the flow is in it, below {', '.join(tops[:8])}" if tops else "there are no tensors in it"
    )
