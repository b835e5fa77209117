"""Which library a flow is of: by its class, in wrappers too."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from . import _holders
from ._check import Source
from ._error import ConversionError

# The classes that are flows, and what to say to one who gives something else
FLOWS: dict[str, tuple[set[str], str]] = {
    "nflows": ({"Flow", "NFlow"}, "only a whole Flow is converted, no transform or distribution by itself"),
    "zuko": ({"LazyDistribution"}, "only a lazy flow is converted, not what it gives for a context: its distribution"),
    "normflows": (
        {"NormalizingFlow", "ConditionalNormalizingFlow", "ClassCondFlow", "MultiscaleFlow"},
        "only a NormalizingFlow is converted, or one of its kind, no layer or base by itself",
    ),
    "flowjax": ({"AbstractDistribution"}, "only a distribution is converted, no bijection by itself"),
    "pyro": (
        {"TransformedDistribution", "ConditionalTransformedDistribution"},
        "only a TransformedDistribution is converted",
    ),
    "freia": ({"SequenceINN", "GraphINN"}, "only a SequenceINN or a GraphINN is converted, no block by itself"),
    "pytorch_flows": ({"FlowSequential"}, "only a FlowSequential is converted, no layer by itself"),
    "distrax": ({"Distribution"}, "only a Transformed distribution is converted"),
    "tfp": ({"Distribution"}, "only a TransformedDistribution is converted"),
    "numpyro": (
        {"TransformedDistribution"},
        "only a TransformedDistribution is converted, such as the get_posterior(params) of a guide",
    ),
    "pzflow": ({"Flow"}, "only a Flow is converted, such as one of the _ensemble of a FlowEnsemble"),
    "flowmc": ({"RealNVP", "MaskedCouplingRQSpline"}, "only a RealNVP or a MaskedCouplingRQSpline is converted"),
    "margarine": (
        {"NICE", "RealNVP"},
        "only a NICE or a RealNVP is converted; of a clustered one, each of its .estimators",
    ),
    "harmonic": ({"RQSplineModel", "RealNVPModel"}, "only an RQSplineModel or a RealNVPModel is converted"),
    "bayesflow": (
        {"CouplingFlow"},
        "only a CouplingFlow is converted, such as the inference_network of an approximator, which leaves out what its "
        "adapter, its standardization and its summary network do",
    ),
}
LIBRARIES = tuple(FLOWS)
_FUNCTIONS = ("distrax", "tfp")  # which have flows that are functions of the context


def source_of(flow: Any, library: str | None = None, **more: Any) -> Source:
    """The parts of a flow of a library, by default that of its class."""
    if reason := _no_object(flow):
        raise ConversionError("", flow, reason)
    flow = unwrapped(flow)
    name = library or _library(flow)
    if (reader := _holders.whole(flow)) is not None:
        return reader(flow, source_of)
    if _library(flow) is None and hasattr(flow, "named_modules") and len(found := _flows(flow)) == 1:
        held = _holders.source(flow, found[0], source_of)
        if held is not None:
            return held
    if name is None:
        known = _elsewhere(flow) or _holders.refusal(flow)
        raise ConversionError("", flow, known or f"it is a flow of none of {', '.join(LIBRARIES)}")
    function = name in _FUNCTIONS and callable(flow) and not hasattr(flow, "log_prob")
    if not function and not _is_flow(flow, name):
        elsewhere = _elsewhere(flow) if _flows(flow) else ""
        reason = _holders.refusal(flow) or elsewhere or FLOWS[name][1]
        raise ConversionError("", flow, reason)
    try:
        with warnings.catch_warnings():  # those of the library are no business of who converts
            warnings.simplefilter("ignore")
            source: Source = _converter(name).source(flow, **more)
    except (AttributeError, TypeError, LookupError, ValueError, RuntimeError) as error:
        # it has other parts than flows of its class, or weights that no flow can have
        raise ConversionError("", flow, f"its parts cannot be read: {error}") from error
    return source


def _no_object(value: Any) -> str:
    """What to say of what is no object of a library, but where its weights are, or what makes one."""
    if isinstance(value, type):
        return "it is a class: hand over a flow that is made with it"
    if isinstance(value, (str, os.PathLike)):
        return "it is a path: load the flow with its library, or use the command `diffeo convert`, with --like"
    if isinstance(value, (Mapping, list, tuple)):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        places = [f"[{key!r}]" for key, each in items if _library(each) is not None or hasattr(each, "named_modules")]
        if places:
            return f"it has objects at {', '.join(places)}: convert(that{places[0]})" + " and so on" * (len(places) > 1)
        if isinstance(value, Mapping):
            return "it has weights and does not say of what: build the flow and load them into it (load_state_dict)"
    if type(value).__module__.startswith("torch.jit"):
        return "TorchScript leaves nothing of the classes of its parts: hand over the module that was scripted"
    if type(value).__module__.partition(".")[0] == __package__.partition(".")[0]:
        return "it is Diffeo's own"
    return ""


def unwrapped(flow: Any) -> Any:
    """What torch.compile, DataParallel and the like have wrapped."""
    return _holders.inside(flow)


def own_class(part: Any) -> str:
    """What the class of a part is derived from, if it is not the library's own; else nothing."""
    kinds = type(part).__mro__
    own = next((i for i, kind in enumerate(kinds) if any(_has(library, kind) for library in LIBRARIES)), 0)
    if not own:
        return ""
    return f"{kinds[0].__qualname__} is a subclass of {kinds[own].__qualname__}, with code of its own?"


def _converter(library: str) -> Any:
    return import_module(f".{library}", __package__)


def _has(library: str, kind: type) -> bool:
    root, name, *_ = f"{kind.__module__}.".split(".")
    if root == "torch" and name != "distributions":
        return False  # every module is derived from one of torch
    converter = _converter(library)
    return root in converter.MODULES or kind.__name__ in getattr(converter, "CLASSES", ())


def _library(flow: Any) -> str | None:
    for kind in type(flow).__mro__:
        for library in LIBRARIES:
            if _has(library, kind):
                return library
    return None


def _is_flow(value: Any, library: str) -> bool:
    names, _ = FLOWS[library]
    return any(kind.__name__ in names and _has(library, kind) for kind in type(value).__mro__)


def _elsewhere(value: Any) -> str:
    """Where a module of torch, or something that has one, keeps a flow, or the parts of one."""
    found = _flows(value)
    if not found:
        return _loose(value)
    places = [_attribute(path) for path in found]
    if len(places) > 1:
        return f"it is no flow itself, but has some at {', '.join(places)}: convert(that{places[0]}) and so on"
    others = _holders.beside(value, found[0])
    left = f", which leaves out what it has besides, {', '.join(others)}" if others else ""
    return f"it is no flow itself, but has one at {places[0]}: convert(that{places[0]}){left}"


def _loose(value: Any) -> str:
    """Which parts of a library something has, that are in no flow of it."""
    found: list[tuple[str, Any]] = []
    for path, part in _parts(value):
        if _library(part) and not any(path.startswith(f"{outer}.") for outer, _ in found):
            found.append((path, part))
    if not found:
        return ""
    library = _library(found[0][1])
    names = ", ".join(f"{_attribute(path)} ({type(part).__qualname__})" for path, part in found)
    return f"it is no flow itself, but has parts of {library}, {names}: make a flow of that of them, and convert it"


def _flows(value: Any) -> list[str]:
    """Where it has flows, or modules that hold one and have a density of their own; not those inside of others."""
    found: list[str] = []
    for path, part in _parts(value):
        if any(path.startswith(f"{outer}.") for outer in found):
            continue
        library = _library(part)
        if (library and _is_flow(part, library)) or (not library and _holders.score(part) and len(_flows(part)) == 1):
            found.append(path)
    return found


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(value, "named_modules"):
        yield from ((path, part) for path, part in value.named_modules() if path)
        return
    for name, part in getattr(value, "__dict__", {}).items():
        if hasattr(part, "named_modules"):
            yield from ((f"{name}.{path}".rstrip("."), inner) for path, inner in part.named_modules())


def _attribute(path: str) -> str:
    return "".join(f"[{name}]" if name.isdigit() else f".{name}" for name in path.split("."))
