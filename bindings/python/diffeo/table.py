"""Flows of tables: columns of several kinds in one flow.

Columns go to the line by the map of their kind (`add_domain`), and the layers of a flow by name follow. With angles the
layers are splines on the circle, and columns of the line are on it, too, in between: see docs/flows.md, "Tables".
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _columns, _rows, architectures
from ._abi import Array
from ._arrays import labels, rows
from ._columns import Column, Columns
from ._words import Domain, Order
from .errors import InvalidArgumentError, ShapeError, UnsupportedError
from .flow import Flow
from .spec import Spec, Spline

FLOWS = (
    "spline_autoregressive",
    "spline_coupling",
    "maf",
    "realnvp",
    "cdf_flow",
    "iaf",
    "glow",
    "nice",
    "made",
    "planar",
    "radial",
)
_FLOAT64 = np.dtype(np.float64)
_LOOKED_AT = 1 << 20  # rows that scales are taken from, at most
# Where the circle of an angle is cut, as a part of its turn: no row lies there, as it is no fraction of small numbers.
_CUT = (3 - 5**0.5) / 2
_SHRINK = 1 / 3  # of standardised columns on the line before they go to the circle: 3 deviations to 0.46 of the half


def for_table(
    x: Any,
    kinds: Mapping[Any, Any] | Sequence[Any] | None = None,
    flow: str = "spline_autoregressive",
    *,
    context: Any = None,
    context_kinds: Mapping[Any, Any] | Sequence[Any] | None = None,
    **options: Any,
) -> Flow:
    """Make a flow for rows whose columns are of several kinds; it knows their names, and wants to be trained.

    Parameters
    ----------
    x : array_like or data frame, [n, columns]
        What it will be trained on: names and categories, with angles also the scales, are taken from it, and rows that
        their columns cannot have are refused. On disk (memory maps, data sets of h5py) it is read piece by piece.
    kinds : mapping, or sequence with an entry for each column
        From names, or numbers of columns, to kinds, as ``"positive"``, ``"angle:0:360"``, ``("interval", 0, 1)`` or a
        `Column`; columns that are left out are real. A sequence is of `Column` or of text for `Column.parse`.
    flow : str
        The name of a flow: "spline_autoregressive", "maf" and so on. With angles one of the two with splines.
    context : array_like or data frame, [n, columns], optional
        What the flow is to be conditional on. A category becomes a column for each level, 0 but for a 1, an angle its
        cosine and sine.
    context_kinds
        As `kinds`, of the context.
    **options
        Arguments of the flow's own function, such as ``transforms=3, hidden=(64, 64), dtype="float64", seed=1``.

    Returns
    -------
    Flow
        With `Flow.columns` and `Flow.context_columns`. What it does with counts and categories is said in `Flow`.

    Raises
    ------
    ValueError
        For missing values, and values outside of their kind, with the numbers of the rows; for unknown names and kinds.
    NotImplementedError
        For a flow without splines where a column is an angle.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> phi = rng.vonmises(2.0, 1.0, 2000)
    >>> x = np.stack([phi, np.exp(rng.normal(np.cos(phi))), rng.poisson(3.0, 2000)], axis=1)
    >>> columns = [diffeo.Column("phi", "angle"), diffeo.Column("mass", "positive"), diffeo.Column("n", "count")]
    >>> flow = diffeo.for_table(x, columns, transforms=2, hidden=(32, 32))
    >>> history = flow.fit(x, max_epochs=5, progress=False)
    >>> samples = flow.sample(1000, seed=1)
    >>> bool((samples[:, 1] > 0).all() and (samples[:, 2] == np.floor(samples[:, 2])).all())
    True
    """
    columns, looked_at = _table(x, kinds, "x")
    given, context_dim = None, 0
    if context is not None:
        given, _ = _table(context, context_kinds, "context")
        context_dim = sum(column.width for column in given)
    elif context_kinds is not None:
        raise ValueError("context_kinds is given, but there is no context")
    made = _flow(flow, columns, looked_at, context_dim, options)
    made.columns = columns
    if given is not None:
        made.context_columns = given
    return made


def _flow(name: str, columns: Columns, x: Array, context_dim: int, options: dict[str, Any]) -> Flow:
    if name not in FLOWS:
        raise ValueError(f"flow must be one of {', '.join(map(repr, FLOWS))}, not {name!r}")
    if options.get("periodic"):
        raise InvalidArgumentError("periodic is for tables of angles alone: give columns the kind 'angle'")
    maker = getattr(architectures, name)
    if any(column.kind == "angle" for column in columns):
        given = inspect.signature(maker).bind(len(columns), context_dim=context_dim, **options)
        return _with_angles(name, columns, x, given)
    made: Flow = maker(len(columns), context_dim=context_dim, **options)
    if all(column.kind == "real" for column in columns):
        return made
    return made.after(_to_line(Spec(len(columns)), columns))


def _with_angles(name: str, columns: Columns, x: Array, given: inspect.BoundArguments) -> Flow:
    given.apply_defaults()
    o = SimpleNamespace(**{"random_order": False} | given.arguments)  # couplings have no such option
    if name not in ("spline_autoregressive", "spline_coupling"):
        raise UnsupportedError(f"{name} has no angles: take spline_autoregressive or spline_coupling")
    if o.base is not None or o.bound is not None:
        raise UnsupportedError("a table with angles has its own base and bound")
    spec = Spec(len(columns), o.context_dim, o.dtype)
    if o.context_dim and o.standardize:
        spec.standardize_context(robust=o.standardize == "robust")
    if o.embedding is not None:
        spec.set_embedding(o.embedding)
    if all(column.kind == "angle" for column in columns):
        _on_torus(spec, columns, o, name)
    else:
        _on_circles(_to_line(spec, columns), columns, x, o, name)
    return spec.build(o.seed)


# ------------------------------------------------------------------------------------------------------ parts of specs


def _to_line(spec: Spec, columns: Columns) -> Spec:
    """Columns to the line, each by the map of its kind; a count or a category as a place in its cell."""
    discrete = [j for j, column in enumerate(columns) if column.discrete]
    if discrete:
        spec.add_dequantize([columns[j].levels or 0 for j in discrete], discrete)
    domains: dict[str, Domain] = {"positive": "log", "interval": "logit", "count": "softplus", "category": "logit"}
    for kind, domain in domains.items():
        chosen = [j for j, column in enumerate(columns) if column.kind == kind]
        if chosen:
            low = [columns[j].low or 0.0 for j in chosen]
            high = [_high(columns[j]) for j in chosen] if domain == "logit" else None
            spec.add_domain(domain, chosen, low, high)
    return spec


def _high(column: Column) -> float:
    """Where a logit ends; a category has been divided by its levels."""
    return 1.0 if column.kind == "category" else column.high or 0.0


def _on_line(values: Array, column: Column) -> Array:
    """The same of numbers."""
    low = column.low or 0.0
    if column.discrete:
        values = values + _columns.uniform(np.arange(len(values), dtype=np.uint64))
    if column.kind == "category":
        values = values / (column.levels or 1)
    found = values
    match column.kind:
        case "positive":
            found = np.log(values - low)
        case "interval" | "category":
            found = np.log(values - low) - np.log(_high(column) - values)
        case "count":
            found = values + np.log(-np.expm1(-values))
    return found


def _on_torus(spec: Spec, columns: Columns, o: Any, name: str) -> None:
    """Angles alone: splines on circles, which turn from layer to layer."""
    ends = np.array([(column.low, column.high) for column in columns])
    spec.add_standardize(ends.mean(axis=1), (ends[:, 1] - ends[:, 0]) / 2)
    for i in range(int(o.transforms)):
        spec.add_wrap(-1, 1, random_shift=i > 0)
        _add_spline(spec, o, name, i)
    spec.set_base("uniform", low=-1, high=1)


def _on_circles(spec: Spec, columns: Columns, x: Array, o: Any, name: str) -> None:
    """Angles and others: all columns on circles from -1 to 1, where networks read cosines and sines of all.

    A column of the line goes there by a sigmoid, and a periodic spline, whose ends stay, moves it like one on an
    interval; then it goes back. The base is the logistic distribution, which is uniform on the circle, and from which
    the others come by way of a normal one.
    """
    mean, std = np.zeros(len(columns)), np.ones(len(columns))
    line = []
    for j, column in enumerate(columns):
        if column.kind == "angle":
            half = (column.period or 0) / 2
            mean[j], std[j] = (column.low or 0) + 2 * half * _CUT + half, half
            continue
        line.append(j)
        values = _on_line(x[:, j], column)
        if o.standardize:
            mean[j], std[j] = _scale(values, o.standardize == "robust")
        if not (std[j] > 0 and values.max() > values.min()):
            raise InvalidArgumentError(f"x is constant in column {str(column)!r}: it has no density")
        std[j] /= _SHRINK
    spec.add_standardize(mean, std)
    spec.add_domain("logit", line, -1, 1).invert()
    for i in range(int(o.transforms)):
        _add_spline(spec, o, name, i)
    spec.add_domain("logit", None, -1, 1)
    back = np.ones(len(columns))
    back[line] = _SHRINK
    spec.add_standardize(np.zeros(len(columns)), back)
    spec.add_domain("logistic_to_normal", line).invert()
    spec.set_base("logistic")


def _scale(values: Array, robust: bool) -> tuple[float, float]:
    if robust:
        low, middle, high = np.quantile(values, [0.1587, 0.5, 0.8413])
        return float(middle), float(high - low) / 2
    return float(values.mean()), float(values.std())


def _add_spline(spec: Spec, o: Any, name: str, i: int) -> None:
    spline = Spline(bins=o.bins, low=-1, high=1, boundary="periodic")
    network = {word: getattr(o, word) for word in ("hidden", "activation", "blocks", "dropout")}
    if name == "spline_coupling":
        spec.add_coupling(mask=("even", "odd")[i % 2], transformer=spline, **network)
    else:
        order: Order = "random" if o.random_order else ("natural", "reversed")[i % 2]
        spec.add_autoregressive(order=order, transformer=spline, **network)


# ------------------------------------------------------------------------------------------------------- the data


def _table(x: Any, kinds: Any, name: str) -> tuple[Columns, Array]:
    """The columns of these rows, and at most so many of them."""
    columns = _columns_of(x, kinds, name)
    kept = []
    count, pieces = _pieces(x, columns, name)
    step = -(-count // _LOOKED_AT) if count else 1
    highest = np.zeros(len(columns))
    first = 0
    for piece in pieces:
        _columns.check_rows(piece, columns, name, first)
        highest = np.maximum(highest, piece.max(axis=0, initial=0))
        kept.append(piece[-first % step :: step])
        first += len(piece)
    if first == 0:
        raise ShapeError(f"{name} has no rows")
    columns = tuple(
        Column.from_json(column.to_json() | {"levels": max(2, int(top) + 1)})
        if column.kind == "category" and column.levels is None
        else column
        for column, top in zip(columns, highest, strict=True)
    )
    return columns, np.concatenate(kept)


def _pieces(x: Any, columns: Columns, name: str) -> tuple[int, Any]:
    if _rows.is_lazy(x):
        stored = _rows.stored(x, len(columns), name, _FLOAT64, columns)
        return len(stored), (stored.read(*piece) for piece in _rows.pieces(len(stored), len(columns), _FLOAT64))
    array = rows(_columns.table(x, columns, name), len(columns), _FLOAT64, name, "columns", columns).array
    return len(array), [array.astype(np.float64)]


def _columns_of(x: Any, kinds: Any, name: str) -> Columns:
    names = _names(x)
    count = len(names) if names else _width(x, name)
    if kinds is None:
        kinds = {}
    if isinstance(kinds, Mapping):
        if names is None and kinds and all(isinstance(key, str) for key in kinds):
            names = tuple(kinds)
        names = names or tuple(str(i) for i in range(count))
        words = {str(key): kind for key, kind in kinds.items()}
        if unknown := [key for key in words if key not in names]:
            raise InvalidArgumentError(f"{name} has no column {', '.join(map(repr, unknown))}, but {', '.join(names)}")
        found = tuple(Column.of(each, words.get(each, "real")) for each in names)
    else:
        found = tuple(each if isinstance(each, Column) else Column.parse(each) for each in kinds)
        if names:
            _columns.check_names(names, found, name)
    if len(found) != count:
        raise ShapeError(f"{name} has {count} columns, there are {len(found)} kinds")
    if len(set(found)) < len(found):
        raise ValueError(f"{name}: names of columns are not all different")
    if _columns.is_frame(x):
        found = tuple(_with_values(x, column) for column in found)
    return found


def _names(x: Any) -> tuple[str, ...] | None:
    if isinstance(x, Mapping):
        return tuple(map(str, x))
    fields = getattr(getattr(x, "dtype", None), "names", None)
    return tuple(fields) if fields else labels(x, 2) or labels(x, 1)


def _width(x: Any, name: str) -> int:
    if isinstance(x, list) and _rows.is_lazy(x):
        return len(x)
    shape = np.shape(x)
    if len(shape) not in (1, 2):
        raise ShapeError(f"{name} has shape {shape}, expected (n, columns)")
    return int(shape[1]) if len(shape) == 2 else 1


def _with_values(x: Any, column: Column) -> Column:
    """The words of a category, in their order, where nothing says them and a frame has some."""
    if column.kind != "category" or column.levels is not None:
        return column
    values: npt.NDArray[Any] = np.asarray(x[str(column)])
    return Column.from_json(column.to_json() | _columns.levels(values.tolist()))
