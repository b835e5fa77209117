"""Trains every flow, as its one call makes it, on real data, beside a Gaussian: see docs/learning.md.

python benchmarks/learning.py --data FOLDER [--quick] [--write] [--sets NAME ...] [--flows PATTERN]
python benchmarks/learning.py --data FOLDER --peers [--write] [--seeds N] [--minutes M]    beside zuko and flowjax
python benchmarks/learning.py --data FOLDER --samples [--write] [--flows PATTERN]         are samples where the data is
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffeo
import h5py
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/learning.md"
RESULTS = ROOT / "benchmarks/results/learning.json"

# One setting for all: the defaults of fit, but a larger rate that falls to 0 in 50 epochs. At 1e-3 these are too few
# for parameters that have far to go: those of radial layers, and the scaling of nice.
TRAINING: dict[str, Any] = {
    "batch_size": 512,
    "lr": 5e-3,
    "schedule": "cosine",
    "max_epochs": 50,
    "patience": 10,
}
QUICK_ROWS, QUICK_EPOCHS = 15_000, 20

Array = np.ndarray


@dataclass(frozen=True)
class Rows:
    """Rows of data, and of context where there is one."""

    x: Array
    context: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def first(self, count: int | None) -> Rows:
        return Rows(self.x[:count], None if self.context is None else self.context[:count])


@dataclass(frozen=True)
class Entry:
    """A flow by its constructor and what is not the default; `density` makes log-densities of a trained flow."""

    flow: str
    options: dict[str, Any] = field(default_factory=dict)
    density: Callable[[diffeo.Flow, Rows], Array] | None = None
    note: str = ""

    @property
    def shallow(self) -> bool:
        """Is here to show what depth is worth, and need not be above the floor."""
        return "transforms" in self.options

    @property
    def label(self) -> str:
        given = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        return f"{self.flow}({given})" + (f", {self.note}" if self.note else "")


@dataclass(frozen=True)
class Set:
    """A data set: where it is, how many rows are used, what it is measured against, and which flows are trained."""

    name: str
    title: str
    load: Callable[[h5py.File, str], Rows]
    floor: Callable[[Rows, Rows], Array]
    entries: list[Entry]
    floor_name: str = "Gaussian"
    train_rows: int | None = None  # None: all
    val_rows: int | None = None
    training: dict[str, Any] = field(default_factory=dict)  # where the one setting for all does not do


@dataclass
class Result:
    """Of one flow on one set."""

    entry: Entry
    failure: str = ""
    layers: int = 0
    parameters: int = 0
    epochs: int = 0
    best_epoch: int = 0
    stopped: str = ""
    skipped: int = 0
    train: float = math.nan  # mean log-likelihood of training rows with the final weights
    late: float = math.nan  # validation: last epoch minus best
    seconds: float = 0.0  # CPU
    log_prob: Array = field(default_factory=lambda: np.empty(0))


# ------------------------------------------------------------------------------------------------ floors


def gaussian(train: Rows, test: Rows) -> Array:
    """With the mean and the full covariance of the training rows; where there is a label, one for each."""
    if train.context is None or test.context is None:
        return _gaussian(train.x, test.x)
    found = np.empty(len(test))
    for label in np.unique(train.context, axis=0):
        here = (test.context == label).all(1)
        found[here] = _gaussian(train.x[(train.context == label).all(1)], test.x[here])
    return found


def _gaussian(train: Array, x: Array) -> Array:
    train, x = train.astype(float), x.astype(float)
    covariance = np.cov(train, rowvar=False)
    u = np.linalg.solve(np.linalg.cholesky(covariance), (x - train.mean(0)).T)
    return -0.5 * ((u**2).sum(0) + np.linalg.slogdet(2 * np.pi * covariance)[1])


def independent(train: Rows, test: Rows) -> Array:
    """Each column 0 or 1 by itself, with one row of each added so that no probability is 0."""
    p = (train.x.sum(0, dtype=float) + 1) / (len(train) + 2)
    return np.log(np.where(test.x == 1, p, 1 - p)).sum(1)


def wrapped(flow: diffeo.Flow, rows: Rows) -> Array:
    """A density on the plane wound around the torus: the sum over the images that are a turn away at most."""
    turns = 2 * np.pi * np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    images = [flow.log_prob(rows.x.astype(float) + turn) for turn in turns]
    return np.logaddexp.reduce(images, axis=0)


# ------------------------------------------------------------------------------------- what is trained on what


def _columns(file: h5py.File, part: str) -> Rows:
    return Rows(file[part][:].astype(np.float32))


def _labelled(file: h5py.File, part: str) -> Rows:
    return Rows(_columns(file, part).x, file[f"{part}_label"][:].astype(np.float32)[:, None])


def _binary(file: h5py.File, part: str) -> Rows:
    return Rows((file[part][:] >= 8).astype(np.float32))


ALL = [
    Entry("nice"),
    Entry("realnvp", {"transforms": 2}),
    Entry("realnvp"),
    Entry("glow"),
    Entry("made"),
    Entry("made", {"conditional": "mixture", "components": 8}),
    Entry("maf", {"transforms": 1}),
    Entry("maf", {"transforms": 2}),
    Entry("maf"),
    Entry("maf", {"components": 8}),
    Entry("iaf"),
    Entry("planar", {"transforms": 4}),
    Entry("planar"),
    Entry("radial", {"transforms": 4}),
    Entry("radial"),
    Entry("cdf_flow"),
    Entry("spline_coupling", {"transforms": 2}),
    Entry("spline_coupling"),
    Entry("spline_autoregressive", {"transforms": 1}),
    Entry("spline_autoregressive"),
]
TORUS = [
    Entry("maf", {}, None, "on the plane"),
    Entry("maf", {}, wrapped, "wrapped"),
    Entry("spline_coupling", {}, wrapped, "wrapped"),
    Entry("spline_autoregressive", {}, wrapped, "wrapped"),
    Entry("spline_coupling", {"transforms": 2, "periodic": True}),
    Entry("spline_coupling", {"periodic": True}),
    Entry("spline_autoregressive", {"transforms": 1, "periodic": True}),
    Entry("spline_autoregressive", {"periodic": True}),
]
BINARY = [Entry("made", {"conditional": "bernoulli", "masks": masks}) for masks in (1, 4, 16)]

SETS = [
    Set(
        "power_6months", "Household power, 6 months: 6 columns", _columns, gaussian, ALL,
        train_rows=30_000, val_rows=5_000,
    ),
    Set("magic", "Gamma telescope: 10 columns", _columns, gaussian, ALL),
    Set("htru2", "Pulsar candidates: 8 columns given the label", _labelled, gaussian, ALL, "Gaussian of each label"),
    Set("gw150914_posterior", "Posterior of GW150914: 14 columns", _columns, gaussian, ALL),
    Set(
        "protein_ramachandran_torus2", "Protein backbones: 2 angles", _columns, gaussian, TORUS,
        train_rows=30_000, val_rows=5_000,
    ),
    # So few rows make three steps an epoch of the one setting, and each of 16 masks wants its share of the steps.
    Set(
        "digits8x8_u8", "Digits: 64 binary pixels", _binary, independent, BINARY, "independent pixels",
        training={"batch_size": 64, "lr": 2e-3, "max_epochs": 200, "patience": 30},
    ),
]  # fmt: skip


# ---------------------------------------------------------------------------------------------- the work


def train(entry: Entry, train: Rows, val: Rows, test: Rows, training: dict[str, Any]) -> Result:
    result = Result(entry)
    begin = time.process_time()
    try:
        flow = getattr(diffeo, entry.flow)(
            dim=train.x.shape[1], context_dim=0 if train.context is None else train.context.shape[1],
            seed=training["seed"], **entry.options,
        )  # fmt: skip
        history = flow.fit(
            train.x,
            train.context,
            validation=(val.x, val.context),
            progress=False,
            **training,
        )
    except (diffeo.Error, ArithmeticError, ValueError, MemoryError) as error:
        result.failure = str(error)
        return result
    result.seconds = time.process_time() - begin
    result.layers, result.parameters = flow.layer_count, flow.parameter_count
    result.epochs, result.best_epoch, result.stopped = len(history), history.best_epoch, history.stopped
    result.skipped = history.skipped_steps
    result.late = history.validation_log_prob[-1] - history.best_log_prob

    def density(rows: Rows) -> Array:
        return entry.density(flow, rows) if entry.density else flow.log_prob(rows.x.astype(float), rows.context)

    result.train = float(density(train).mean())
    result.log_prob = density(test).astype(float)
    return result


def mean_and_error(values: Array) -> tuple[float, float]:
    """Mean, and two of its standard errors."""
    return float(values.mean()), 2 * float(values.std(ddof=1)) / math.sqrt(len(values))


def plus_minus(values: Array, sign: str = "") -> str:
    if not np.isfinite(values).all():
        return f"{values.mean()}"
    mean, error = mean_and_error(values)
    return f"{mean:{sign}.3f} ± {error:.3f}"


def remarks(result: Result, floor: Array, floor_name: str) -> str:
    """What a reader would want to be told; a flow that is no better than the floor among it."""
    words = []
    if outside := int(np.isneginf(result.log_prob).sum()):
        inside = result.log_prob[np.isfinite(result.log_prob)]
        words.append(f"{outside} rows at -inf, the others {plus_minus(inside)}")
    if nan := int(np.isnan(result.log_prob).sum()):
        words.append(f"{nan} rows NaN")
    if result.skipped:
        words.append(f"{result.skipped} steps skipped")
    if not beats(result, floor):
        words.append(f"NOT above {floor_name}")
    return "; ".join(words)


def beats(result: Result, floor: Array) -> bool:
    """By more than two standard errors of the difference of the same rows."""
    if result.failure or not np.isfinite(result.log_prob).all():
        return False
    mean, error = mean_and_error(result.log_prob - floor)
    return mean > error


def table(data: Set, floor: Array, results: list[Result]) -> list[list[str]]:
    rows = [
        [
            "flow",
            "layers",
            "parameters",
            "epochs (best)",
            "CPU s",
            "train",
            "test, nats",
            f"above {data.floor_name}",
            "",
        ],
        [data.floor_name, "", "", "", "", "", plus_minus(floor), "", ""],
    ]
    for r in results:
        if r.failure:
            rows.append([r.entry.label, *[""] * 7, r.failure])
            continue
        rows.append([
            r.entry.label, str(r.layers), f"{r.parameters:,}", f"{r.epochs} ({r.best_epoch})", f"{r.seconds:.1f}",
            f"{r.train:.3f}", plus_minus(r.log_prob), plus_minus(r.log_prob - floor, "+"),
            remarks(r, floor, data.floor_name),
        ])  # fmt: skip
    return rows


def depths(data: Set, results: list[Result]) -> Iterator[list[str]]:
    """Fewer transforms against more, on the same rows."""
    for fewer in results:
        rest = {key: value for key, value in fewer.entry.options.items() if key != "transforms"}
        for more in results:
            same = (more.entry.flow, more.entry.options) == (fewer.entry.flow, rest)
            if fewer.entry.shallow and same and not (more.entry.density or more.failure or fewer.failure):
                gain = plus_minus(more.log_prob - fewer.log_prob, "+")
                yield [data.name, fewer.entry.label, more.entry.label, gain]


# ----------------------------------------------------------------------------------------------- the page


def plain(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(c.ljust(w) if i in (0, len(row) - 1) else c.rjust(w)
                  for i, (c, w) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    )  # fmt: skip


def markdown(rows: list[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---", *("---:" for _ in head[1:-1]), "---" if not head[-1] else "---:"], *body]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def write(text: str, marker: str = "results", page: Path = PAGE) -> None:
    """Replace what is between the markers of the page."""
    pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    content, found = pattern.subn(lambda match: match[1] + text + match[2], page.read_text())
    if found != 1:
        raise SystemExit(f"{page} must have the markers <!-- {marker} --> and <!-- /{marker} --> once")
    page.write_text(content)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Trains every flow on real data, beside a Gaussian.")
    parser.add_argument("--data", type=Path, default=os.environ.get("DIFFEO_DATA"), help="folder, or DIFFEO_DATA")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS} rows and {QUICK_EPOCHS} epochs at most")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/learning.md")
    parser.add_argument("--sets", nargs="*", default=[s.name for s in SETS], choices=[s.name for s in SETS])
    parser.add_argument("--flows", default="*", help="a pattern such as maf*")
    parser.add_argument("--seed", type=int, default=1, help="of weights, orders and shuffling")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", action="store_true", help="beside zuko and flowjax: see side_by_side.py")
    parser.add_argument("--seeds", type=int, default=5, help="of --peers: 1 to so many")
    parser.add_argument("--minutes", type=float, default=math.inf, help="of --peers, --samples: begin nothing later")
    parser.add_argument("--samples", action="store_true", help="are samples where the data is: see sample_range.py")
    return parser.parse_args()


def beside_peers(given: argparse.Namespace) -> int:
    import side_by_side

    rows, sentence = side_by_side.run(Path(given.data), given.seeds, given.minutes)
    print(f"\n{plain(rows)}\n\n{sentence}")
    if given.write:
        setting = ", ".join(f"{key} = {value}" for key, value in side_by_side.SETTING.items())
        facts = f"- {time.strftime('%Y-%m-%d')}, diffeo {diffeo.__version__}\n- {setting}\n"
        write(f"{facts}\n{markdown(rows)}\n{sentence}\n", "side-by-side")
    return 0


def range_of_samples(given: argparse.Namespace) -> int:
    import sample_range

    rows, failed = sample_range.run(Path(given.data), given.flows, given.minutes)
    print(f"\n{plain(rows)}")
    if given.write:
        rates = " or ".join(f"{rate:g}" for rate in sample_range.RATES)
        facts = [
            f"- {time.strftime('%Y-%m-%d')}, diffeo {diffeo.__version__}",
            f"- {sample_range.DRAWS:,} samples, {sample_range.EPOCHS} epochs at a rate of {rates}",
        ]
        write("\n".join([*facts, "", markdown(rows)]), "sample-range")
    return int(failed)


def main() -> int:
    given = arguments()
    if given.write and (given.quick or given.flows != "*" or len(given.sets) < len(SETS)):
        raise SystemExit("--write wants the whole run: no --quick, --sets, --flows")
    if given.data is None or not Path(given.data).is_dir():
        print(f"no data at {given.data}: name the folder with --data or DIFFEO_DATA; nothing was run")
        return 0
    if given.peers:
        return beside_peers(given)
    if given.samples:
        return range_of_samples(given)
    training = TRAINING | {"seed": given.seed, "threads": given.threads}
    if given.quick:
        training["max_epochs"] = QUICK_EPOCHS

    sections, compared, missed, entries = [], [["", "fewer", "more", "gain, nats"]], [], []
    begin = time.monotonic()
    for data in (s for s in SETS if s.name in given.sets):
        path = Path(given.data) / f"{data.name}.h5"
        if not path.is_file():
            print(f"\n{data.title}: there is no {path.name}, skipped")
            continue
        with h5py.File(path) as file:
            rows, val, test = (data.load(file, part) for part in ("train", "val", "test"))
        rows, val = rows.first(data.train_rows), val.first(data.val_rows)
        if given.quick:
            rows, val = rows.first(QUICK_ROWS), val.first(QUICK_ROWS // 5)
        floor = data.floor(rows, test)
        counts = f"{data.name}.h5: {len(rows):,} rows to train on, {len(val):,} to validate, {len(test):,} to test"
        if data.training:
            counts += "; " + ", ".join(f"{key} = {value}" for key, value in data.training.items())
        print(f"\n{data.title}\n{counts}", flush=True)

        results = []
        for entry in data.entries:
            if not fnmatch.fnmatch(entry.label, given.flows):
                continue
            result = train(entry, rows, val, test, training | ({} if given.quick else data.training))
            results.append(result)
            print(f"  {entry.label}: {result.failure or plus_minus(result.log_prob - floor, '+')}", flush=True)
            if not (entry.shallow or beats(result, floor)):
                missed.append(
                    f"{data.name}: {entry.label}: {result.failure or remarks(result, floor, data.floor_name)}"
                )
            entries.append({
                "set": data.name, "flow": entry.label, "failure": result.failure, "train": result.train,
                "test": mean_and_error(result.log_prob) if len(result.log_prob) else None, "epochs": result.epochs,
                "best_epoch": result.best_epoch, "stopped": result.stopped, "late": result.late,
                "skipped": result.skipped, "cpu": result.seconds,
            })  # fmt: skip
        found = table(data, floor, results)
        print("\n" + plain(found), flush=True)
        sections.append(f"### {data.title}\n\n{counts}\n\n{markdown(found)}")
        compared += depths(data, results)

    print("\n" + plain(compared))
    print(f"\n{time.monotonic() - begin:.0f} s, {time.process_time():.0f} s of CPU")
    print(
        "\n".join(["Not above their floor by two standard errors:", *missed])
        if missed
        else "All are above their floor, the shallow ones aside."
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(entries, indent=1) + "\n")
    if given.write:
        facts = [
            f"- {time.strftime('%Y-%m-%d')}, diffeo {diffeo.__version__}, numpy {np.__version__}, "
            f"h5py {h5py.__version__}, Python {platform.python_version()}; {time.process_time():.0f} s of CPU",
            "- " + ", ".join(f"{key} = {value}" for key, value in training.items()),
        ]
        write("\n".join([*facts, "", *sections, "### Depth\n", markdown(compared)]))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
