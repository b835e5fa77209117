"""Variational inference with Diffeo beside flowjax and normflows: see docs/objectives.md.

python benchmarks/inference.py [--write] [--seeds N] [--minutes M] [--targets NAME ...]
python benchmarks/inference.py --times [--rounds N] [--write]
python benchmarks/inference.py --posteriors [--write]            Diffeo alone, beside long runs of Markov chains

The same targets, sizes, batches, steps, rates and seeds; each library's own flows and gradient. What has been computed
is kept in inference.json and not done again; for another build of Diffeo, --again diffeo forgets its cells, and --times
does all times anew. Libraries that are not installed are left out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import diffeo  # noqa: E402
import inference_targets  # noqa: E402
import learning  # noqa: E402
import numpy as np  # noqa: E402
import targets  # noqa: E402
from peers import PEERS, Infer, Inference, UnavailableError  # noqa: E402

HERE = Path(__file__).resolve().parent
KEPT, PAGE = HERE / "inference.json", HERE.parent / "docs/objectives.md"
LIBRARIES = ("diffeo", "flowjax", "normflows")
TARGETS = list(inference_targets.NUMPY)
FLOWS = {"planar": 16, "radial": 16, "iaf": 4, "realnvp": 6, "spline": 4}  # transforms
GAUSSIANS = {"diagonal Gaussian": 0, "full Gaussian": 0}  # of Diffeo, to compare with
NAMES = {"iaf": "IAF", "realnvp": "RealNVP", "spline": "spline couplings"}
SETTING: dict[str, Any] = {"hidden": [64, 64], "lr": 5e-3, "batch_size": 256, "steps": 1000, "samples": 20_000}
POSTERIOR_FLOW: dict[str, Any] = {"transforms": 6, "hidden": (32, 32)}
POSTERIOR_TRAINING: dict[str, Any] = {"steps": 2000, "lr": 5e-3, "schedule": "cosine"}
# What is timed of Diffeo: by name, options of peers.diffeo_python.infer.
OURS = {
    "diffeo": {"estimator": "path", "target": "c"},
    "diffeo, reverse_kl": {"estimator": "reverse_kl", "target": "c"},
    "diffeo, NumPy": {"estimator": "path", "target": "numpy"},
}

Key = tuple[str, str, int, str]  # target, flow, seed, library


def task(target: str, flow: str, seed: int, steps: int = SETTING["steps"]) -> Infer:
    transforms = (FLOWS | GAUSSIANS)[flow]
    dim = inference_targets.NUMPY[target].dim
    hidden, lr, batch_size = tuple(SETTING["hidden"]), SETTING["lr"], SETTING["batch_size"]
    return Infer(target, flow, transforms, hidden, dim, seed, lr, batch_size, steps)


def module(library: str) -> Any:
    return importlib.import_module(f"peers.{PEERS[library].module}")


def installed() -> list[str]:
    found = []
    for library in LIBRARIES:
        try:
            module(library).setup(1)
            found.append(library)
        except ImportError as error:
            print(f"{library}: {error}; only what is kept of it is shown")
    return found


# -------------------------------------------------------------------------------------------------------- learning


def learn(key: Key) -> dict[str, Any] | None:
    """A cell: the bound with its error, by samples that training has not seen; None for what the library has not."""
    target, flow, seed, library = key
    cell: dict[str, Any] = {"target": target, "flow": flow, "seed": seed, "library": library}
    begin = time.process_time()
    try:
        training = module(library).infer(task(target, flow, seed))
    except UnavailableError:
        return None
    training.run(SETTING["steps"])
    seconds = time.process_time() - begin
    x, log_q = training.sample(SETTING["samples"])
    log_w = inference_targets.NUMPY[target](x)[0] - log_q
    if np.isfinite(log_w).all():
        elbo, error = float(log_w.mean()), float(log_w.std() / math.sqrt(len(log_w)))
        k_hat = diffeo.diagnostics.pareto_k(log_w)
        cell |= {"elbo": round(elbo, 5), "error": round(error, 5), "k_hat": round(k_hat, 3)}
    else:
        cell |= {"elbo": None}
    return cell | {"version": module(library).versions()[library], "cpu_seconds": round(seconds, 1)}


def fill(kept: dict[str, Any], targets: list[str], seeds: int, minutes: float) -> None:
    """What is missing, the first seed of all first."""
    there, end = installed(), time.monotonic() + 60 * minutes
    wanted = [
        (target, flow, seed, library)
        for seed in range(1, seeds + 1) for target in targets for flow in (FLOWS | GAUSSIANS) for library in there
        if flow in FLOWS or library == "diffeo"
    ]  # fmt: skip
    for key in wanted:
        if key in kept["cells"]:
            continue
        if time.monotonic() > end:
            print(f"{minutes:g} minutes are over; the next call goes on")
            return
        cell = learn(key)
        if cell is not None:
            kept["cells"][key] = cell
            keep(kept)
            print(json.dumps(cell), flush=True)


# ----------------------------------------------------------------------------------------------------------- times


def measure(target: str, flow: str, there: list[str], rounds: int) -> dict[str, Any]:
    """Milliseconds of processor time a step: of each the median over the rounds, in which all take turns."""
    runs: dict[str, Inference] = {}
    for name, options in OURS.items():
        runs[name] = module("diffeo").infer(task(target, flow, 1, 10**6), **options)
    for library in there[1:]:
        try:
            runs[library] = module(library).infer(task(target, flow, 1, 10**6))
        except UnavailableError:
            continue
    times: dict[str, list[float]] = {name: [] for name in runs}
    for training in runs.values():
        training.run(100)
    for _ in range(rounds):
        for name, training in runs.items():
            begin = time.process_time()
            training.run(100)
            times[name].append((time.process_time() - begin) * 10)
    peers = [times[library] for library in there[1:] if library in times]
    faster = min(peers, key=statistics.median)
    ratio = statistics.median(theirs / ours for theirs, ours in zip(faster, times["diffeo"], strict=True))
    found = {name: round(statistics.median(values), 4) for name, values in times.items()}
    return {"target": target, "flow": flow, "rounds": rounds, "ms": found, "ratio": round(ratio, 2)}


def measure_all(kept: dict[str, Any], targets: list[str], rounds: int) -> None:
    there = installed()
    if len(there) == 1:
        raise SystemExit("no library to compare with is installed")
    for target in targets:
        for flow in FLOWS:
            kept["times"][target, flow] = measure(target, flow, there, rounds)
            keep(kept)
            print(json.dumps(kept["times"][target, flow]), flush=True)
    kept["measured"] = f"{time.strftime('%Y-%m-%d')}, {', '.join(versions(there))}, one core, {processor()}"
    keep(kept)


def versions(libraries: list[str]) -> list[str]:
    return [f"{library} {module(library).versions()[library]}" for library in libraries]


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "some processor")


# ------------------------------------------------------------------------------------------------------ posteriors


def posterior(target: Any, reference: dict[str, Any]) -> dict[str, Any]:
    """What a flow comes to beside the chains: the worst mean, in posterior deviations, and the worst deviation."""
    flow = diffeo.realnvp(target.dim, seed=1, **POSTERIOR_FLOW)
    flow.fit_target(target, seed=1, threads=1, progress=False, **POSTERIOR_TRAINING)
    found = diffeo.importance(flow, target, 5 * SETTING["samples"], seed=7)
    values, weights = target.quantities(found.x), found.weights
    mean, std = np.array(reference["mean"]), np.array(reference["std"])

    def farthest(weights: Any) -> list[float]:
        own_mean = weights @ values
        own_std = np.sqrt(weights @ (values - own_mean) ** 2)
        worst = (np.abs(own_mean - mean) / std).max(), np.abs(own_std / std - 1).max()
        return [round(float(each), 4) for each in worst]

    return {
        "posterior": target.name, "dim": target.dim, "elbo": round(float(found.log_weights.mean()), 4),
        "log_evidence": round(found.log_evidence, 4), "k_hat": round(found.pareto_k, 3),
        "effective": round(found.effective_samples / len(weights), 4),
        "flow": farthest(np.full(len(weights), 1 / len(weights))), "weighted": farthest(weights),
    }  # fmt: skip


def measure_posteriors(kept: dict[str, Any]) -> None:
    reference = json.loads((targets.HERE / "reference.json").read_text(encoding="utf-8"))
    for name, target in targets.posteriors().items():
        kept["posteriors"][name] = posterior(target, reference[name])
        keep(kept)
        print(json.dumps(kept["posteriors"][name]), flush=True)


def posteriors(kept: dict[str, Any]) -> list[list[str]]:
    head = ["posterior", "d", "ELBO", "log evidence", "k-hat", "ESS"]
    rows = [[*head, "means off by", "deviations off by", "weighted: means", "deviations"]]
    for found in kept["posteriors"].values():
        off = [f"{mean:.3f} sd, {100 * std:.1f} %" for mean, std in (found["flow"], found["weighted"])]
        values = [f"{found[key]:{form}}" for key, form in (("elbo", ".3f"), ("log_evidence", ".3f"), ("k_hat", ".2f"))]
        effective = f"{100 * found['effective']:.0f} %"
        rows.append([found["posterior"], str(found["dim"]), *values, effective, *", ".join(off).split(", ")])
    return rows


# ------------------------------------------------------------------------------------------------- what is kept


def read() -> dict[str, Any]:
    content = {"setting": SETTING, "cells": [], "times": [], "measured": "", "posteriors": []}
    if KEPT.is_file():
        content |= json.loads(KEPT.read_text(encoding="utf-8"))
    if content["setting"] != SETTING:
        raise SystemExit(f"{KEPT} was made with {content['setting']}, not with {SETTING}: remove it to begin anew")
    cells = {(c["target"], c["flow"], c["seed"], c["library"]): c for c in content["cells"]}
    times = {(t["target"], t["flow"]): t for t in content["times"]}
    return content | {"cells": cells, "times": times, "posteriors": {p["posterior"]: p for p in content["posteriors"]}}


def keep(kept: dict[str, Any]) -> None:
    """At once and whole: a run may be stopped at any time."""

    def lines(name: str, sort: bool = True) -> str:
        entries = kept[name]
        text = ",\n".join("  " + json.dumps(entries[key]) for key in (sorted(entries) if sort else entries))
        return f' "{name}": [\n{text}\n ]'

    parts = [f' "{key}": {json.dumps(kept[key])}' for key in ("setting", "measured")]
    parts += [lines("cells"), lines("times"), lines("posteriors", sort=False)]
    new = KEPT.with_suffix(".new")
    new.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
    new.replace(KEPT)


# ---------------------------------------------------------------------------------------------------------- tables


def learnt(kept: dict[str, Any]) -> list[list[str]]:
    """Means over the seeds, k-hat in brackets; seeds without a finite bound are told."""
    rows = [["target", "flow", "seeds", *LIBRARIES]]
    for target in TARGETS:
        for flow in FLOWS | GAUSSIANS:
            found = [cell for key, cell in kept["cells"].items() if key[:2] == (target, flow)]
            if found:
                entries = (entry([cell for cell in found if cell["library"] == library]) for library in LIBRARIES)
                seeds = len({cell["seed"] for cell in found})
                rows.append([title(target), NAMES.get(flow, flow), str(seeds), *entries])
    return rows


def entry(cells: list[dict[str, Any]]) -> str:
    finite = [cell for cell in cells if cell["elbo"] is not None]
    if not cells:
        return ""
    failed = f", {len(cells) - len(finite)} of {len(cells)} not finite" if len(finite) < len(cells) else ""
    if not finite:
        return failed.removeprefix(", ")
    elbo, k_hat = (statistics.mean(cell[key] for cell in finite) for key in ("elbo", "k_hat"))
    return f"{elbo:.3f} ({k_hat:.2f}){failed}"


def title(target: str) -> str:
    known = inference_targets.NUMPY[target]
    words = {"ring": "ring of eight", "eight_schools": "eight schools"}.get(target, target)
    return f"{words}, d = {known.dim}" + ("" if known.log_evidence is None else f", log Z {known.log_evidence:.3f}")


def timed(kept: dict[str, Any]) -> list[list[str]]:
    rows = [["target", "flow", *OURS, *LIBRARIES[1:], "faster peer / diffeo"]]
    for (target, flow), found in sorted(kept["times"].items(), key=lambda each: order(*each[0])):
        cells = [f"{found['ms'][name]:.3f}" if name in found["ms"] else "" for name in rows[0][2:-1]]
        rows.append([target.replace("_", " "), NAMES.get(flow, flow), *cells, f"{found['ratio']:.1f}"])
    return rows


def order(target: str, flow: str) -> tuple[int, int]:
    return TARGETS.index(target), list(FLOWS).index(flow)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Variational inference beside flowjax and normflows.")
    parser.add_argument("--targets", nargs="*", default=TARGETS, choices=TARGETS)
    parser.add_argument("--seeds", type=int, default=3, help="1 to so many")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin nothing later")
    parser.add_argument("--again", nargs="*", default=[], choices=LIBRARIES, help="forget the cells of these")
    parser.add_argument("--times", action="store_true", help="seconds a step, in place of what is learnt")
    parser.add_argument("--posteriors", action="store_true", help="Diffeo's posteriors, in place of what is learnt")
    parser.add_argument("--rounds", type=int, default=7, help="of --times")
    parser.add_argument("--write", action="store_true", help="put tables of all that is kept into docs/objectives.md")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, also for XLA
    kept = read()
    if given.times:
        measure_all(kept, given.targets, given.rounds)
    elif given.posteriors:
        measure_posteriors(kept)
    else:
        kept["cells"] = {key: cell for key, cell in kept["cells"].items() if key[3] not in given.again}
        fill(kept, given.targets, given.seeds, given.minutes)
    tables: dict[str, Callable[[dict[str, Any]], list[list[str]]]] = {
        "inference": learnt, "inference-times": timed, "inference-posteriors": posteriors,
    }  # fmt: skip
    layers = ", ".join(f"{NAMES.get(flow, flow)} {count}" for flow, count in FLOWS.items())
    facts = {
        "inference": f"{', '.join(f'{key} = {value}' for key, value in SETTING.items())}, cosine; layers: {layers}.",
        "inference-times": f"{kept['measured']}.",
        "inference-posteriors": f"{', '.join(f'{key} = {value}' for key, value in POSTERIOR_TRAINING.items())}.",
    }
    for marker, table in tables.items():
        rows = table(kept)
        print(f"\n{learning.plain(rows)}")
        if given.write:
            learning.write(f"{facts[marker]}\n\n{learning.markdown(rows)}" if rows[1:] else "", marker, PAGE)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
