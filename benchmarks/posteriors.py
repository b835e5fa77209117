"""Neural posterior estimation with Diffeo on the tasks of sbibm, beside the published results: see docs/learning.md.

python benchmarks/posteriors.py --data FOLDER [--write] [--tasks NAME ...] [--observations 10] [--simulations 10000]

Lueckmann, Boelts, Greenberg, Goncalves, Macke, "Benchmarking simulation-based inference", AISTATS 2021: simulators,
priors, observations and reference posteriors are theirs. FOLDER has the wheel (`pip download --no-deps sbibm`), and,
for the published values, main_paper.csv and gaussian_mixture_rerun.csv of github.com/sbi-benchmark/results; the package
itself is not needed. Samples are kept in benchmarks/results, scores in
benchmarks/posteriors.json; what is there is not computed again.

With --method sbi, in an environment that has it, the package sbi is trained on the same simulations.
"""

from __future__ import annotations

import argparse
import bz2
import csv
import io
import itertools
import json
import math
import os
import pickle
import platform
import statistics
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffeo
import learning
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks/results/posteriors"
SCORES = ROOT / "benchmarks/posteriors.json"
SAMPLES = 10_000  # of each posterior, as many as there are reference samples
STEPS = 200  # of Markov chains

# One flow and one setting for all tasks.
FLOW: dict[str, Any] = {"transforms": 5, "hidden": (64, 64), "bins": 8, "bound": 4.0}
TRAINING: dict[str, Any] = {
    "validation": 0.1, "batch_size": 128, "lr": 2e-3, "schedule": "cosine", "max_epochs": 40, "patience": 20,
    "ema_decay": 0.99,
}  # fmt: skip

Array = np.ndarray
Rng = np.random.Generator


# ------------------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True)
class Task:
    """Prior and simulator; `bound` where the prior is uniform on [-bound, bound]."""

    name: str
    prior: Callable[[Rng, int], Array]
    simulate: Callable[[Rng, Array], Array]
    bound: float | None = None
    folder: str = ""
    observation: str = "observation.csv"


class Wheel:
    """The files of sbibm."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._zip = zipfile.ZipFile(path)

    def read(self, task: Task, file: str) -> bytes:
        return self._zip.read(f"sbibm/tasks/{task.folder or task.name}/files/{file}")

    def observation(self, task: Task, number: int) -> Array:
        return table(self.read(task, f"num_observation_{number}/{task.observation}"))[0]

    def reference(self, task: Task, number: int) -> Array:
        image = self.read(task, f"num_observation_{number}/reference_posterior_samples.csv.bz2")
        return table(bz2.decompress(image))

    def tensors(self, folder: str, file: str) -> Any:
        return torch_file(self._zip.read(f"sbibm/tasks/{folder}/files/{file}"))


def table(image: bytes) -> Array:
    return np.loadtxt(io.BytesIO(image), delimiter=",", skiprows=1, ndmin=2)


def torch_file(image: bytes) -> Any:
    """What an old file of torch.save holds, tensors as arrays; of classes only the names are taken, none is run."""
    types = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "LongStorage": "<i8"}
    storages: dict[str, Array] = {}
    kinds: dict[str, str] = {}

    class Tensor:
        def __init__(self, key: str, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> None:
            self.key, self.offset, self.size, self.stride = key, offset, size, stride

        def array(self) -> Array:
            flat = storages[self.key][self.offset :]
            return np.lib.stride_tricks.as_strided(flat, self.size, [flat.itemsize * s for s in self.stride]).copy()

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if name == "_rebuild_tensor_v2":
                return Tensor
            return {"OrderedDict": OrderedDict, "Size": tuple}.get(name) or type(name, (), {})

        def persistent_load(self, pid: Any) -> str:
            kinds[pid[2]] = types[pid[1].__name__]
            return str(pid[2])

    def resolved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.array()
        inside = value if isinstance(value, dict) else getattr(value, "__dict__", None)
        return value if inside is None else {key: resolved(each) for key, each in inside.items()}

    file = io.BytesIO(image)
    _magic, _protocol, _system, value, keys = (Reader(file).load() for _ in range(5))
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        kind = np.dtype(kinds[key])
        storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    return resolved(value)


def uniform(bound: float, dim: int) -> Callable[[Rng, int], Array]:
    return lambda rng, n: rng.uniform(-bound, bound, (n, dim))


def two_moons(rng: Rng, theta: Array) -> Array:
    angle = rng.uniform(-np.pi / 2, np.pi / 2, len(theta))
    radius = rng.normal(0.1, 0.01, len(theta))
    first, second = theta.T
    return np.column_stack([
        radius * np.cos(angle) + 0.25 - abs(first + second) / np.sqrt(2),
        radius * np.sin(angle) + (second - first) / np.sqrt(2),
    ])  # fmt: skip


def gaussian(rng: Rng, theta: Array) -> Array:
    return theta + np.sqrt(0.1) * rng.normal(size=theta.shape)


def mixture(rng: Rng, theta: Array) -> Array:
    """One of two deviations; since version 1.1 of sbibm a row is of one of them."""
    return theta + np.where(rng.random((len(theta), 1)) < 0.5, 1.0, 0.1) * rng.normal(size=theta.shape)


def slcp(rng: Rng, theta: Array) -> Array:
    """Four points of a Gaussian in the plane, whose deviations are squares of parameters."""
    first, second, rho = theta[:, 2] ** 2, theta[:, 3] ** 2, np.tanh(theta[:, 4])
    a = np.sqrt(first**2 + 1e-6)
    b = rho * first * second / a
    c = np.sqrt(second**2 + 1e-6 - b**2)
    z = rng.normal(size=(len(theta), 4, 2))
    x = theta[:, None, 0] + a[:, None] * z[..., 0]
    y = theta[:, None, 1] + b[:, None] * z[..., 0] + c[:, None] * z[..., 1]
    return np.stack([x, y], axis=2).reshape(len(theta), 8)


class Distractors:
    """The 8 columns of slcp among 92 of a fixed mixture of Student's t, in a fixed order."""

    def __init__(self, wheel: Wheel) -> None:
        mixture = wheel.tensors("slcp", "gmm.torch")
        self.order = wheel.tensors("slcp", "permutation_idx.torch")
        weights = mixture["_mixture_distribution"]
        self.probabilities = weights["probs"].astype(float) / weights["probs"].sum(dtype=float)
        part = mixture["_component_distribution"]["base_dist"]
        self.df, self.location, self.scale = (part[key] for key in ("df", "loc", "_unbroadcasted_scale_tril"))

    def __call__(self, rng: Rng, theta: Array) -> Array:
        n, (count, dim) = len(theta), self.location.shape
        chosen = rng.choice(count, n, p=self.probabilities)
        noise = np.empty((n, dim))
        for k in range(count):
            rows = np.flatnonzero(chosen == k)
            df = self.df[k].ravel()[0]
            wide = np.sqrt(df / rng.chisquare(df, (len(rows), 1)))
            noise[rows] = self.location[k] + wide * (rng.normal(size=(len(rows), dim)) @ self.scale[k].T)
        return np.concatenate([slcp(rng, theta), noise], axis=1)[:, self.order]


class Spikes:
    """A generalised linear model of 100 bins: an offset and a filter of 9 over fixed white noise."""

    def __init__(self) -> None:
        stimulus = np.random.RandomState(42).randn(100)
        delayed = [np.concatenate([np.zeros(j), stimulus[: 100 - j]]) for j in range(9)]
        self.design = np.column_stack([np.ones(100), *delayed])
        differences = np.eye(9) - np.eye(9, k=-1)
        smooth = differences @ differences + np.diag(np.sqrt(np.arange(9) / 9))
        precision = np.zeros((10, 10))
        precision[0, 0], precision[1:, 1:] = 0.5, smooth.T @ smooth
        self.root = np.linalg.cholesky(precision)

    def prior(self, rng: Rng, n: int) -> Array:
        return np.linalg.solve(self.root.T, rng.normal(size=(10, n))).T

    def raw(self, rng: Rng, theta: Array) -> Array:
        return (rng.random((len(theta), 100)) < 1 / (1 + np.exp(-theta @ self.design.T))).astype(float)

    def summaries(self, rng: Rng, theta: Array) -> Array:
        return self.raw(rng, theta) @ self.design


def tasks(wheel: Wheel) -> list[Task]:
    spikes, distractors = Spikes(), Distractors(wheel)
    found = [
        Task("two_moons", uniform(1, 2), two_moons, 1),
        Task("gaussian_mixture", uniform(10, 2), mixture, 10),
        Task("slcp", uniform(3, 5), slcp, 3),
        Task("gaussian_linear", lambda rng, n: np.sqrt(0.1) * rng.normal(size=(n, 10)), gaussian),
        Task("gaussian_linear_uniform", uniform(1, 10), gaussian, 1),
        Task("bernoulli_glm", spikes.prior, spikes.summaries),
        Task("bernoulli_glm_raw", spikes.prior, spikes.raw, None, "bernoulli_glm", "observation_raw.csv"),
        Task("slcp_distractors", uniform(3, 5), distractors, 3, "slcp", "observation_distractors.csv"),
    ]
    # What is not drawn can be held to the observations: summaries of raw ones, and where the distractors are.
    by_name = {task.name: task for task in found}
    for number in range(1, 11):
        seen = {name: wheel.observation(task, number) for name, task in by_name.items()}
        if not np.allclose(seen["bernoulli_glm_raw"] @ spikes.design, seen["bernoulli_glm"], atol=1e-3):
            raise SystemExit(f"{wheel.name}: the summaries of bernoulli_glm are others")
        if not (seen["slcp_distractors"][np.argsort(distractors.order)][:8] == seen["slcp"]).all():
            raise SystemExit(f"{wheel.name}: the order of slcp_distractors is another")
    return found


# ----------------------------------------------------------------------------------------------------- methods


@dataclass(frozen=True)
class Samples:
    """Of all posteriors, [observations, SAMPLES, dim], and the seconds they took."""

    posteriors: Array
    train: float
    sample: float


def add_splines(spec: diffeo.Spec) -> diffeo.Spec:
    """What the flows of both methods are made of."""
    spline = diffeo.Spline(bins=FLOW["bins"], low=-FLOW["bound"], high=FLOW["bound"])
    for i in range(FLOW["transforms"]):
        order = ("natural", "reversed")[i % 2]
        spec.add_lu(permuted=False).add_autoregressive(hidden=FLOW["hidden"], transformer=spline, order=order)
    return spec


def train_diffeo(task: Task, theta: Array, x: Array, observed: Array, seed: int) -> Samples:
    begin = time.perf_counter()
    spec = diffeo.Spec(dim=theta.shape[1], context_dim=x.shape[1]).standardize_context()
    if task.bound is not None:
        spec.add_domain("logit", range(theta.shape[1]), -task.bound, task.bound)
    spec.add_standardize()
    flow = add_splines(spec).build(seed=seed)
    flow.fit(theta, x, progress=False, seed=seed, threads=1, **TRAINING)
    trained = time.perf_counter()
    drawn = [flow.sample(SAMPLES, each, seed=number) for number, each in enumerate(observed, 1)]
    return Samples(np.stack(drawn), trained - begin, time.perf_counter() - trained)


def train_sbi(task: Task, theta: Array, x: Array, observed: Array, seed: int) -> Samples:
    """NPE of the package sbi with a neural spline flow, all else as it is by default."""
    import torch
    from sbi.inference import NPE
    from sbi.utils import BoxUniform

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    dim = theta.shape[1]
    if task.bound is not None:
        prior = BoxUniform(-task.bound * torch.ones(dim), task.bound * torch.ones(dim))
    else:
        prior = torch.distributions.MultivariateNormal(torch.zeros(dim), torch.tensor(np.cov(theta.T)).float())
    begin = time.perf_counter()
    inference = NPE(prior, density_estimator="nsf", show_progress_bars=False)
    inference.append_simulations(torch.tensor(theta).float(), torch.tensor(x).float()).train()
    posterior = inference.build_posterior()
    trained = time.perf_counter()
    drawn = [
        posterior.sample((SAMPLES,), x=torch.tensor(each).float()[None], show_progress_bars=False).numpy()
        for each in observed
    ]
    return Samples(np.stack(drawn), trained - begin, time.perf_counter() - trained)


def train_likelihood(task: Task, theta: Array, x: Array, observed: Array, seed: int) -> Samples:
    """Neural likelihood estimation (Papamakarios, Sterratt, Murray 2019): x given theta, sampled by Markov chains."""
    begin = time.perf_counter()
    spec = diffeo.Spec(dim=x.shape[1], context_dim=theta.shape[1]).standardize_context().add_standardize()
    flow = add_splines(spec).build(seed=seed)
    flow.fit(x, theta, progress=False, seed=seed, threads=1, **TRAINING)
    trained = time.perf_counter()

    def log_posterior(theta: Array, each: Array) -> Array:
        log_p = flow.log_prob(np.broadcast_to(each, (len(theta), len(each))), theta).astype(float)
        return np.where(np.abs(theta).max(1) <= task.bound, log_p, -np.inf)

    drawn = [
        chains(task, log_posterior, each, np.random.default_rng(number)) for number, each in enumerate(observed, 1)
    ]
    return Samples(np.stack(drawn), trained - begin, time.perf_counter() - trained)


def chains(task: Task, log_posterior: Callable[[Array, Array], Array], observed: Array, rng: Rng) -> Array:
    """The ends of SAMPLES chains, which begin by importance resampling of the prior and move by differential evolution
    (ter Braak 2006).
    """
    start = task.prior(rng, 20 * SAMPLES)
    log_p = log_posterior(start, observed)
    weights = np.exp(log_p - log_p.max())
    here = rng.choice(len(start), SAMPLES, p=weights / weights.sum())
    theta, log_p = start[here], log_p[here]
    for step in range(STEPS):
        a, b = rng.permutation(SAMPLES), rng.permutation(SAMPLES)
        # Now and then as far as from one chain to another: from mode to mode.
        reach = 1.0 if step % 10 == 0 else 2.38 / math.sqrt(2 * theta.shape[1])
        moved = theta + reach * (theta[a] - theta[b]) + 1e-4 * rng.normal(size=theta.shape)
        log_moved = log_posterior(moved, observed)
        accepted = np.log(rng.random(SAMPLES)) < log_moved - log_p
        theta, log_p = np.where(accepted[:, None], moved, theta), np.where(accepted, log_moved, log_p)
    return theta


METHODS = {"diffeo": train_diffeo, "sbi": train_sbi, "diffeo-likelihood": train_likelihood}
# Of the last method: their priors are uniform.
LIKELIHOOD_TASKS = ("two_moons", "slcp")


# ---------------------------------------------------------------------------------------------------- the work


def samples(method: str, task: Task, wheel: Wheel, simulations: int, seed: int) -> Samples:
    """Trained and drawn once, then read."""
    path = RESULTS / f"{method}-{task.name}-{simulations}-{seed}.npz"
    if not path.is_file():
        rng = np.random.default_rng(seed)
        theta = task.prior(rng, simulations)
        x = task.simulate(rng, theta)
        observed = np.stack([wheel.observation(task, number) for number in range(1, 11)])
        found = METHODS[method](task, theta, x, observed, seed)
        with open(f"{path}.part", "wb") as file:
            np.savez(file, posteriors=found.posteriors, train=found.train, sample=found.sample)
        os.replace(f"{path}.part", path)
    with np.load(path) as file:
        return Samples(file["posteriors"], float(file["train"]), float(file["sample"]))


# The quick one first: the classifier takes a minute with 2 columns, and several with 10.
METRICS: dict[str, Callable[[Array, Array], float]] = {
    "mmd": diffeo.diagnostics.mmd,
    "c2st": lambda reference, drawn: diffeo.diagnostics.c2st(reference, drawn).accuracy,
}


def score(given: argparse.Namespace, chosen: list[Task], wheel: Wheel) -> dict[str, Any]:
    """Observation by observation, so that a run that is cut short has judged all tasks alike."""
    cells: dict[str, Any] = json.loads(SCORES.read_text()) if SCORES.is_file() else {}
    for metric, number, task in itertools.product(METRICS, range(1, given.observations + 1), chosen):
        name = f"{given.method} {task.name} {given.simulations} {given.seed} {number}"
        if metric in cells.get(name, {}):
            continue
        drawn = samples(given.method, task, wheel, given.simulations, given.seed)
        value = METRICS[metric](wheel.reference(task, number), drawn.posteriors[number - 1].astype(float))
        cells.setdefault(name, {"train": drawn.train, "sample": drawn.sample / 10})[metric] = value
        part = SCORES.with_suffix(".part")
        part.write_text(json.dumps(cells, indent=1) + "\n")
        os.replace(part, SCORES)
        print(name, metric, value, flush=True)
    return cells


def published(folder: Path, simulations: int, algorithm: str) -> dict[str, dict[int, dict[str, float]]]:
    """What it reached on each task and observation; of the mixture after the correction of its simulator."""
    wanted = {1000: "10³", 10_000: "10⁴", 100_000: "10⁵"}.get(simulations)
    found: dict[str, dict[int, dict[str, float]]] = {}
    for name in ("main_paper.csv", "gaussian_mixture_rerun.csv"):
        if not (folder / name).is_file():
            continue
        with open(folder / name, encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["algorithm"] == algorithm and row["num_simulations"] == wanted:
                    cell = {"c2st": float(row["C2ST"]), "mmd": float(row["MMD"])}
                    found.setdefault(row["task"], {})[int(row["num_observation"])] = cell
    return found


def report(given: argparse.Namespace, every: list[Task], cells: dict[str, Any]) -> str:
    """A table in Markdown for each metric, and one of times. Published values are those of the same observations."""
    literature = {name: published(given.data, given.simulations, name) for name in ("NPE", "NLE")}

    def of(method: str, task: Task, key: str) -> dict[int, float]:
        start = f"{method} {task.name} {given.simulations} {given.seed} "
        return {
            int(name.removeprefix(start)): c[key] for name, c in cells.items() if name.startswith(start) and key in c
        }

    def mean(values: dict[int, float], form: str) -> str:
        return f"{statistics.mean(values.values()):{form}}" if values else ""

    def reached(algorithm: str, task: Task, metric: str, ours: dict[int, float]) -> dict[int, float]:
        cells = literature[algorithm].get(task.name, {})
        return {number: cell[metric] for number, cell in cells.items() if number in ours}

    def row(task: Task, metric: str, form: str) -> list[str]:
        ours, theirs = of("diffeo", task, metric), of("sbi", task, metric)
        paper = reached("NPE", task, metric, ours)
        counts = f"{len(ours)}" + (f", sbi {len(theirs)}" if len(theirs) not in (0, len(ours)) else "")
        return [task.name.replace("_", " "), *(mean(each, form) for each in (ours, paper, theirs)), counts]

    tables = []
    for title, metric, form in (("C2ST", "c2st", ".3f"), ("MMD²", "mmd", ".4f")):
        head = [title, "Diffeo", "NPE, published", "sbi, here", "observations"]
        tables.append([head, *(row(task, metric, form) for task in every)])
    tables.append(
        [["likelihood estimators", "C2ST, Diffeo", "NLE, published", "MMD², Diffeo", "NLE, published", "observations"]]
    )
    for task in every:
        if task.name in LIKELIHOOD_TASKS:
            line = [task.name.replace("_", " ")]
            for metric, form in (("c2st", ".3f"), ("mmd", ".4f")):
                ours = of("diffeo-likelihood", task, metric)
                line += [mean(ours, form), mean(reached("NLE", task, metric, ours), form)]
            tables[-1].append([*line, f"{len(ours)}"])
    tables.append([["seconds", "Diffeo: training", "10,000 samples", "sbi: training", "10,000 samples"]])
    for task in every:
        times = [
            (of(method, task, key), form)
            for method in ("diffeo", "sbi")
            for key, form in (("train", ".0f"), ("sample", ".2f"))
        ]
        tables[-1].append([task.name.replace("_", " "), *(mean(*each) for each in times)])
    return "\n".join(learning.markdown(table) for table in tables)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Neural posterior estimation on the tasks of sbibm.")
    parser.add_argument("--data", type=Path, default=os.environ.get("DIFFEO_DATA"), help="folder, or DIFFEO_DATA")
    parser.add_argument("--method", choices=list(METHODS), default="diffeo")
    parser.add_argument("--tasks", nargs="*", help="by default all")
    parser.add_argument("--observations", type=int, default=10, help="the first so many, 0 to 10")
    parser.add_argument("--simulations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="of simulations, weights and shuffling")
    parser.add_argument("--write", action="store_true", help="put the table of all that is there into docs/learning.md")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    wheels = sorted(Path(given.data).glob("sbibm-1.1*.whl")) if given.data else []
    if not wheels:
        print(f"no wheel of sbibm 1.1 in {given.data}: pip download --no-deps sbibm -d FOLDER; nothing was run")
        return 0
    wheel = Wheel(wheels[-1])
    every = tasks(wheel)
    if given.method == "diffeo-likelihood" and not set(given.tasks or []) <= set(LIKELIHOOD_TASKS):
        raise SystemExit(f"likelihood estimators are there for {', '.join(LIKELIHOOD_TASKS)}")
    unknown = set(given.tasks or []) - {task.name for task in every}
    if unknown:
        raise SystemExit(f"no task {', '.join(sorted(unknown))}; there are {', '.join(task.name for task in every)}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    chosen = given.tasks or (LIKELIHOOD_TASKS if given.method == "diffeo-likelihood" else [task.name for task in every])
    cells = score(given, [task for task in every if task.name in chosen], wheel)
    found = report(given, every, cells)
    print(found)
    if given.write:
        facts = (
            f"{time.strftime('%Y-%m-%d')}, diffeo {diffeo.__version__}, numpy {np.__version__}, Python "
            f"{platform.python_version()}, {given.simulations:,} simulations, one thread"
        )
        learning.write(f"{facts}\n\n{found}", "posteriors")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
