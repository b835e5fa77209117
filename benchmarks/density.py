"""Density estimation beside published tables: MNIST in logit space, or columns of any HDF5 file: see docs/learning.md.

python benchmarks/density.py --data FOLDER-OR-FILE [--models NAME,...] [--conditional] [--minutes M] [--write] [--quick]

A file has `train`, `val` and `test`, [n, dim], and for --conditional `train_label` and so on; a folder, mnist_u8.h5.
Bytes are taken as images (Papamakarios, Pavlakou, Murray 2017, section 4.3), other numbers as columns. Every model has
M minutes: they go in equal parts to rounds of candidates, of which the better half by validation goes on to the next,
with twice the time (successive halving: Jamieson, Talwalkar, AISTATS 2016). The model shown is the best of all its
runs by validation; test rows are looked at only then. What has been run is kept in benchmarks/results/density, and not
run again.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import diffeo
import h5py
import learning
import numpy as np
from learning import Rows

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "benchmarks/results/density"
SUMMARY = ROOT / "benchmarks/density.json"

# Settings of all runs, and of each kind of data. Those of images were chosen on validation rows of MNIST. Columns that
# depend on each other closely, as neighbouring pixels do, need scales of a wide range: hence their bound.
COMMON: dict[str, Any] = {"lr": 1e-3, "schedule": "cosine", "clip_quantile": 0.9}
IMAGES: dict[str, Any] = COMMON | {"hidden": [1024, 1024], "batch_size": 200, "ema_decay": 0.0}
COLUMNS: dict[str, Any] = COMMON | {
    "hidden": [512, 512], "batch_size": 512, "ema_decay": 0.999, "scale_bound": 6.0,
}  # fmt: skip
# What candidates differ in, the first one in nothing. Those that this version of the library cannot do are left out.
CANDIDATES: list[dict[str, Any]] = [{}, {"dropout": 0.1}, {"weight_decay": 0.1}, {"hidden": [256, 256]}]
MAX_EPOCHS = 200
WARMUP_STEPS = 500  # but a seventh of all at most
QUICK_ROWS, QUICK_MINUTES = 5000, 0.1

Array = np.ndarray

# Mean test log-likelihood in nats, of the table given; MNIST unconditional and conditional.
MAF_PAPER = "Papamakarios, Pavlakou, Murray 2017"
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "mnist_u8": {
        "gaussian": (-1366.9, -1344.7), "made": (-1380.8, -1361.9), "made-mog": (-1038.5, -1030.3),
        "realnvp": (-1323.2, -1326.3), "maf": (-1300.5, -1302.9), "maf-mog": (-1100.3, -1092.3),
    },
    "bsds300": {
        "gaussian": (96.67, math.nan), "made": (148.85, math.nan), "made-mog": (153.71, math.nan),
        "realnvp": (152.97, math.nan), "maf": (155.69, math.nan), "maf-mog": (156.36, math.nan),
        "spline-coupling": (157.54, math.nan), "spline-autoregressive": (157.31, math.nan),
    },
}  # fmt: skip


# -------------------------------------------------------------------------------------------------------- data


@dataclass(frozen=True)
class Data:
    """Rows of a file. Of images they are bytes, in float32, to which `rows` adds the noise."""

    name: str
    images: bool
    parts: dict[str, Rows]

    # x = logit(ALPHA + (1 - 2 ALPHA) (byte + u) / 256), u uniform in [0, 1)
    ALPHA = 1e-6

    @staticmethod
    def read(path: Path, conditional: bool, first: int | None) -> Data:
        """The first so many rows of each part."""
        with h5py.File(path) as file:
            images = file["train"].dtype == np.uint8
            labels = {part: file[f"{part}_label"][:first] for part in ("train", "val", "test")} if conditional else {}
            parts = {}
            for part in ("train", "val", "test"):
                x = file[part][:first].reshape(len(file[part][:first]), -1).astype(np.float32)
                context = one_hot(labels[part], np.unique(labels["train"])) if conditional else None
                parts[part] = Rows(x, context)
        return Data(path.stem.lower(), images, parts)

    @property
    def dim(self) -> int:
        return int(self.parts["train"].x.shape[1])

    @property
    def context_dim(self) -> int:
        context = self.parts["train"].context
        return 0 if context is None else int(context.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.name.encode())
        for part, rows in self.parts.items():
            digest.update(f"{part} {rows.x.shape} {self.context_dim}".encode() + rows.x[:100].tobytes())
        return digest.hexdigest()[:12]

    def rows(self, part: str, count: int | None = None) -> Rows:
        """What a flow is evaluated on: of images with noise, which is always the same."""
        rows = self.parts[part].first(count)
        if not self.images:
            return rows
        noise = np.random.default_rng(["train", "val", "test"].index(part)).random(rows.x.shape, np.float32)
        return Rows(np.minimum(rows.x + noise, np.nextafter(np.float32(256), np.float32(0))), rows.context)

    def table_space(self, x: Array) -> tuple[Array, Array | float]:
        """Where the table's densities are: x there, and the log-determinant of the way to it, of each row."""
        if not self.images:
            return x, 0.0
        y = self.ALPHA + (1 - 2 * self.ALPHA) * x.astype(float) / 256
        a, b = np.log(y), np.log1p(-y)
        return a - b, (math.log((1 - 2 * self.ALPHA) / 256) - a - b).sum(1)

    def spec(self) -> diffeo.Spec:
        """The way to the table's space, and standardised there."""
        spec = diffeo.Spec(self.dim, self.context_dim)
        if self.images:
            beyond = self.ALPHA / (1 - 2 * self.ALPHA)
            spec.add_dequantize(256).add_domain("logit", low=-beyond, high=1 + beyond)
        return spec.add_standardize()

    def log_prob(self, flow: diffeo.Flow, rows: Rows) -> Array:
        """In the table's space, nats."""
        found = []
        for begin in range(0, len(rows), 10_000):
            x, context = (None if a is None else a[begin : begin + 10_000] for a in (rows.x, rows.context))
            found.append(flow.log_prob(x, context).astype(float) - self.table_space(x)[1])
        return np.concatenate(found)


def one_hot(labels: Array, known: Array) -> Array:
    return (labels[:, None] == known).astype(np.float32)


# ------------------------------------------------------------------------------------------------------ models

# Adds layers with these options of networks and of scales.
Layers = Callable[[diffeo.Spec, dict[str, Any], dict[str, Any]], None]


def realnvp(spec: diffeo.Spec, network: dict[str, Any], scale: dict[str, Any]) -> None:
    for i in range(5):
        spec.add_coupling(mask=("even", "odd")[i % 2], **network, **scale)


def maf(transforms: int, components: int = 0) -> Layers:
    """With components over a MADE of mixtures. One layer over a normal base is a MADE with Gaussian conditionals."""

    def layers(spec: diffeo.Spec, network: dict[str, Any], scale: dict[str, Any]) -> None:
        for i in range(transforms):
            spec.add_autoregressive(order=("natural", "reversed")[i % 2], **network, **scale)
        if components:
            spec.set_base_made(conditional="mixture", components=components, **network)

    return layers


def splines(autoregressive: bool) -> Layers:
    """Ten steps of a linear layer and splines of 8 bins, with residual networks, and a linear layer at the end."""

    def layers(spec: diffeo.Spec, network: dict[str, Any], scale: dict[str, Any]) -> None:
        options = {"transformer": diffeo.Spline(bins=8, low=-4, high=4), "blocks": "preactivation", **network}
        for i in range(10):
            spec.add_lu(seed=i)
            if autoregressive:
                spec.add_autoregressive(order=("natural", "reversed")[i % 2], **options)
            else:
                spec.add_coupling(mask="first", **options)
        spec.add_lu(seed=10)

    return layers


@dataclass(frozen=True)
class Model:
    title: str
    layers: Layers
    settings: dict[str, Any]


# Splines have smaller networks and rates, as published.
MODELS = {
    "made": Model("MADE", maf(1), {}),
    "made-mog": Model("MADE MoG", maf(0, 10), {}),
    "realnvp": Model("RealNVP (5)", realnvp, {}),
    "maf": Model("MAF (5)", maf(5), {}),
    "maf-mog": Model("MAF MoG (5)", maf(5, 10), {}),
    "spline-coupling": Model("RQ-NSF (C)", splines(False), {"hidden": [128, 128], "lr": 5e-4}),
    "spline-autoregressive": Model("RQ-NSF (AR)", splines(True), {"hidden": [128, 128], "lr": 5e-4}),
}
NETWORK = [name for name in ("hidden", "dropout") if name in inspect.signature(diffeo.Spec.add_coupling).parameters]
SCALE = ["scale_bound"]


def build(data: Data, model: Model, setting: dict[str, Any], seed: int) -> diffeo.Flow:
    spec = data.spec()
    model.layers(spec, *({name: setting[name] for name in names if name in setting} for names in (NETWORK, SCALE)))
    return spec.build(seed=seed)


def training(setting: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in setting.items() if name not in NETWORK + SCALE}


def candidates(data: Data, model: Model, count: int) -> list[dict[str, Any]]:
    base = (IMAGES if data.images else COLUMNS) | model.settings
    able = [c for c in CANDIDATES if "dropout" not in c or "dropout" in NETWORK]
    different = [base | c for c in able if not c or base | c != base]
    return different[:count]


# ------------------------------------------------------------------------------------------------------- runs


@dataclass
class Run:
    """One training: what it is, and, as far as it has come, what it gave; both in the cache."""

    key: dict[str, Any]
    found: dict[str, Any]

    @property
    def _stem(self) -> Path:
        digest = hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()[:12]
        return CACHE / f"{self.key['data']}-{self.key['model']}-{digest}"

    @staticmethod
    def open(key: dict[str, Any]) -> Run:
        run = Run(key, {})
        path = run._stem.with_suffix(".json")
        if path.is_file():
            run.found = json.loads(path.read_text())["found"]
        return run

    @staticmethod
    def of(key: dict[str, Any]) -> Iterator[Run]:
        """All in the cache that agree with a part of their key."""
        for path in sorted(CACHE.glob("*.json")):
            record = json.loads(path.read_text())
            if all(record["key"].get(name) == value for name, value in key.items()):
                yield Run(record["key"], record["found"])

    def save(self, flow: diffeo.Flow | None = None) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        if flow is not None:
            flow.save(self._stem.with_suffix(".h5"))
        part = self._stem.with_suffix(".part")
        part.write_text(json.dumps({"key": self.key, "found": self.found}, indent=1) + "\n")
        os.replace(part, self._stem.with_suffix(".json"))

    def load(self) -> diffeo.Flow:
        return diffeo.load(self._stem.with_suffix(".h5"))

    def train(self, data: Data, threads: int) -> None:
        model, setting, seed = MODELS[self.key["model"]], self.key["setting"], self.key["seed"]
        train, val = data.parts["train"], data.parts["val"]
        options = training(setting) | {"seed": seed, "threads": threads}
        # Of images the trainer takes bytes, and judges with noise of its own on the validation rows, the same after
        # every epoch; their densities are per byte, and are moved to the table's space by the mean.
        moved = float(np.mean(data.table_space(data.rows("val").x)[1]))
        epochs = self.found.get("planned") or self._epochs(data, model, options)
        begin = time.process_time()
        self.found = {"planned": epochs, "finished": False, "curve": []}
        flow = build(data, model, setting, seed)

        def keep(trainer: diffeo.Trainer[diffeo.Flow]) -> None:
            now = trainer.report
            latest = [now.train_log_prob - moved, now.validation_log_prob - moved]
            self.found["curve"].append([round(value, 3) for value in latest])
            self.found |= {
                "best_epoch": now.best_epoch, "averaged": now.averaged, "validation": now.best_log_prob - moved,
                "skipped_steps": now.skipped_steps, "core_minutes": (time.process_time() - begin) / 60,
            }  # fmt: skip
            self.save(flow if now.best_epoch == now.epoch else None)
            print(f"    epoch {now.epoch}/{epochs}: train {latest[0]:.2f}, validation {latest[1]:.2f}, best "
                  f"{self.found['validation']:.2f} of epoch {now.best_epoch}; {self.found['core_minutes']:.1f} "
                  "core-minutes", flush=True)  # fmt: skip

        steps = epochs * math.ceil(len(train) / options["batch_size"])
        history = flow.fit(
            train.x, train.context, validation=(val.x, val.context), max_epochs=epochs, patience=max(5, epochs // 5),
            warmup_steps=min(WARMUP_STEPS, steps // 7), progress=False, on_progress=keep, **options,
        )  # fmt: skip
        self.found["validation"] = float(data.log_prob(flow, data.rows("val")).mean())
        self.found |= {"finished": True, "stopped": history.stopped, "parameters": flow.parameter_count}
        self.save(flow)

    def _epochs(self, data: Data, model: Model, options: dict[str, Any]) -> int:
        """As many as the minutes are enough for, by the speed of a few steps; a row of validation is a third of one.
        The speed is that of the processor, so that other work on the machine does not make runs shorter.
        """
        some = data.parts["train"].first(20 * options["batch_size"])
        trainer = diffeo.Trainer(
            build(data, model, self.key["setting"], self.key["seed"]), some.x, some.context, validation=0.0,
            **options | {"max_epochs": 1},
        )  # fmt: skip
        begin = time.process_time()
        rate = options["threads"] * trainer.step().train_rows / (time.process_time() - begin)
        rows = len(data.parts["train"]) + len(data.parts["val"]) / 3
        return max(1, min(MAX_EPOCHS, int(60 * self.key["minutes"] * rate / rows)))

    def judge(self, data: Data) -> None:
        """Test rows, and as many of those trained on."""
        if "test" in self.found:
            return
        flow, test = self.load(), data.rows("test")
        values = data.log_prob(flow, test)
        self.found["test"], self.found["error"] = learning.mean_and_error(values)
        self.found["train"] = float(data.log_prob(flow, data.rows("train", len(test))).mean())
        self.save()


def search(data: Data, name: str, given: argparse.Namespace) -> None:
    """Rounds of runs, with fewer candidates and more time each."""
    still = candidates(data, MODELS[name], given.candidates)
    rounds = 1 + math.ceil(math.log2(len(still)))
    while True:
        minutes = given.minutes / rounds / len(still)
        runs = []
        for setting in still:
            key = cell(data, name, given.seed) | {"minutes": round(minutes, 3), "setting": setting}
            run = Run.open(key)
            print(f"  {name}: {minutes:.2f} minutes with {shown(setting)}", flush=True)
            if not run.found.get("finished"):
                run.train(data, given.threads)
            print(f"    validation {run.found['validation']:.2f}", flush=True)
            runs.append(run)
        if len(runs) == 1:
            return
        runs.sort(key=lambda run: -run.found["validation"])
        still = [run.key["setting"] for run in runs[: math.ceil(len(runs) / 2)]]


def cell(data: Data, name: str, seed: int) -> dict[str, Any]:
    return {
        "data": data.name, "fingerprint": data.fingerprint, "model": name, "conditional": data.context_dim > 0,
        "seed": seed,
    }  # fmt: skip


def shown(setting: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in setting.items() if value)


# ----------------------------------------------------------------------------------------------------- summary


def gaussian(data: Data) -> dict[str, Any]:
    """With mean and full covariance of the training rows, in the table's space; of each label its own."""
    path = CACHE / f"{data.name}-gaussian-{data.fingerprint}.txt"
    if not path.is_file():
        begin = time.process_time()
        parts = (Rows(data.table_space(rows.x)[0], rows.context) for rows in map(data.rows, ("train", "test")))
        test, error = learning.mean_and_error(learning.gaussian(*parts))
        CACHE.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({
            "test": test, "error": error, "core_minutes": (time.process_time() - begin) / 60,
        }))  # fmt: skip
    return json.loads(path.read_text())


def summarise(data: Data, given: argparse.Namespace) -> dict[str, Any]:
    """Every model of the data: its best run by validation, of these or of those kept, or that there is none."""
    published = PUBLISHED.get(data.name, {})
    earlier = kept().get(title(data), {}).get("cells", {})
    column = int(data.context_dim > 0)
    cells = {"gaussian": {"title": "Gaussian", **gaussian(data)}}
    for name, model in MODELS.items():
        runs = [run for run in Run.of(cell(data, name, given.seed)) if run.found.get("curve")]
        best = max(runs, key=lambda run: run.found["validation"], default=None)
        before = earlier.get(name, {"title": model.title, "test": None})
        if best is None or before.get("validation", -math.inf) > best.found["validation"]:
            cells[name] = before
            continue
        best.judge(data)
        cells[name] = {
            "title": model.title, **best.found, "setting": best.key["setting"], "seed": best.key["seed"],
            "runs": len(runs), "core_minutes_of_all": sum(run.found["core_minutes"] for run in runs),
        }  # fmt: skip
    for name, values in cells.items():
        if name in published and not math.isnan(published[name][column]):
            values["published"] = published[name][column]
    return {
        "rows": {part: len(rows) for part, rows in data.parts.items()}, "dim": data.dim, "seed": given.seed,
        "date": time.strftime("%Y-%m-%d"), "diffeo": diffeo.__version__, "python": platform.python_version(),
        "cells": cells,
    }  # fmt: skip


def table(summary: dict[str, Any]) -> list[list[str]]:
    rows = [["model", "published", "test, nats", "validation", "train", "epochs (best)", "core-minutes (all runs)",
             "setting"]]  # fmt: skip
    for values in summary["cells"].values():
        published = f"{values['published']:.2f}" if "published" in values else ""
        if values["test"] is None:
            rows.append([values["title"], published, "not run", "", "", "", "", ""])
            continue
        score = f"{values['test']:.2f} ± {values['error']:.2f}"
        minutes = f"{values['core_minutes']:.1f}"
        if "curve" not in values:
            rows.append([values["title"], published, score, "", "", "", minutes, ""])
            continue
        state = "" if values["finished"] else f"interrupted, {values['planned']} epochs planned; "
        rows.append([
            values["title"], published, score, f"{values['validation']:.2f}", f"{values['train']:.2f}",
            f"{len(values['curve'])} ({values['best_epoch']})", f"{minutes} ({values['core_minutes_of_all']:.1f})",
            state + shown(values["setting"]),
        ])  # fmt: skip
    return rows


def curves(summary: dict[str, Any]) -> list[list[str]]:
    """Validation after some of the epochs; all are in the JSON file."""
    runs = [values for values in summary["cells"].values() if "curve" in values]
    longest = max((len(values["curve"]) for values in runs), default=0)
    epochs = sorted({min(longest, math.ceil(1.5**i)) for i in range(20)}) if longest else []
    rows = [["validation after epoch", *map(str, epochs)]]
    for values in runs:
        curve = [validation for _, validation in values["curve"]]
        rows.append([values["title"], *(f"{curve[e - 1]:.1f}" if e <= len(curve) else "" for e in epochs)])
    return rows


def title(data: Data) -> str:
    return data.name + (" given the label" if data.context_dim else "")


def kept() -> dict[str, Any]:
    return json.loads(SUMMARY.read_text()) if SUMMARY.is_file() else {}


def keep(data: Data, summary: dict[str, Any]) -> dict[str, Any]:
    """All summaries there are, this one among them."""
    everything = kept() | {title(data): summary}
    part = SUMMARY.with_suffix(".part")
    part.write_text(json.dumps(everything, indent=1) + "\n")
    os.replace(part, SUMMARY)
    return everything


def page(everything: dict[str, Any]) -> str:
    text = ""
    for name, summary in everything.items():
        counts = ", ".join(f"{count:,} {part}" for part, count in summary["rows"].items())
        text += f"*{name}: {counts} rows, {summary['dim']} columns; seed {summary['seed']}; "
        text += f"{summary['date']}, diffeo {summary['diffeo']}*\n\n"
        text += learning.markdown(table(summary)) + "\n"
        if len(curves(summary)) > 1:
            text += learning.markdown(curves(summary)) + "\n"
    return text.rstrip("\n") + "\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Density estimation beside published tables.")
    parser.add_argument("--data", type=Path, default=os.environ.get("DIFFEO_DATA"), help="file or folder; DIFFEO_DATA")
    parser.add_argument("--models", default=",".join(MODELS), help=f"of {', '.join(MODELS)}; or none")
    parser.add_argument("--conditional", action="store_true", help="given the labels of the file")
    parser.add_argument("--minutes", type=float, default=30.0, help="for each model, search and all; default 30")
    parser.add_argument("--candidates", type=int, default=4, help="1: no search, the first one has all the time")
    parser.add_argument("--seed", type=int, default=1, help="of weights, shuffling and noise in training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS} rows, {QUICK_MINUTES} minutes; not kept")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/learning.md")
    given = parser.parse_args()
    given.models = [] if given.models == "none" else given.models.split(",")
    if unknown := set(given.models) - set(MODELS):
        parser.error(f"there is no model {', '.join(sorted(unknown))}, only {', '.join(MODELS)}")
    if given.quick:
        given.minutes = QUICK_MINUTES
    if given.quick and given.write:
        parser.error("--write wants the whole run: no --quick")
    if given.candidates < 1 or not given.minutes > 0:
        parser.error("--candidates must be 1 or more, --minutes above 0")
    return given


def main() -> int:
    given = arguments()
    path = given.data / "mnist_u8.h5" if given.data is not None and Path(given.data).is_dir() else given.data
    if path is None or not Path(path).is_file():
        print(f"no data at {path}: name a file or a folder with --data or DIFFEO_DATA; nothing was run")
        return 0
    data = Data.read(Path(path), given.conditional, QUICK_ROWS if given.quick else None)
    for name in given.models:
        search(data, name, given)
        if not given.quick:
            keep(data, summarise(data, given))
    summary = summarise(data, given)
    print("\n" + learning.plain(table(summary)))
    if not given.quick:
        everything = keep(data, summary)
    if given.write:
        learning.write(page(everything), "density")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
