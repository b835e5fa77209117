"""Writes data.json and reference.json, of the posteriors in targets.py.

    python Tests/inference/make.py POSTERIORDB DRAWS

POSTERIORDB: a folder with a copy of github.com/stan-dev/posteriordb; DRAWS: a file that has, in a group for each of its
posteriors, its reference draws, in data sets of rows (their order does not matter), and the names of their columns in
the attribute `columns`, as JSON. Needs h5py. The tests read what is written here, and need neither.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import targets

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
QUANTILES_OF = ("eight_schools-eight_schools_noncentered", "garch-garch11")

Array = np.ndarray


def read(folder: Path, name: str) -> dict[str, Any]:
    with zipfile.ZipFile(folder / f"posterior_database/data/data/{name}.json.zip") as file:
        return json.loads(file.read(f"{name}.json"))


def statistics(x: Array, y: Array) -> dict[str, Any]:
    """All that the likelihood of a linear regression depends on."""
    estimate = np.linalg.lstsq(x, y, rcond=None)[0]
    return {
        "rows": len(y), "gram": (x.T @ x).tolist(), "estimate": estimate.tolist(),
        "residual_squares": float(((y - x @ estimate) ** 2).sum()),
    }  # fmt: skip


def data(folder: Path) -> dict[str, Any]:
    ark, blr, nes = (read(folder, name) for name in ("arK", "sblrc", "nes1980"))
    y, k = np.array(ark["y"]), ark["K"]
    lagged = [y[k - lag : len(y) - lag] for lag in range(1, k + 1)]
    age = np.array(nes["age_discrete"])
    answers = [
        nes["real_ideo"],
        nes["race_adj"],
        age == 2,
        age == 3,
        age == 4,
        nes["educ1"],
        nes["gender"],
        nes["income"],
    ]
    return {
        "garch": {key: read(folder, "garch")[key] for key in ("y", "sigma1")},
        "hmm_example": {"y": read(folder, "hmm_example")["y"]},
        "arK": statistics(np.column_stack([np.ones(len(y) - k), *lagged]), y[k:]),
        "sblrc": statistics(np.array(blr["X"]), np.array(blr["y"])),
        "nes1980": statistics(np.column_stack([np.ones(len(age)), *answers]).astype(float), np.array(nes["partyid7"])),
    }


def moments(x: Array, quantiles: bool) -> dict[str, Any]:
    """With standard errors of draws that do not depend on one another, as these thinned ones."""
    n, mean, std = len(x), x.mean(0), x.std(0, ddof=1)
    kurtosis = (((x - mean) / std) ** 4).mean(0)
    found = {
        "draws": n, "mean": mean, "mean_error": std / np.sqrt(n), "std": std,
        "std_error": std * np.sqrt((kurtosis - 1) / (4 * n)),
    }  # fmt: skip
    if quantiles:
        found["quantiles"] = dict(zip(map(str, QUANTILES), np.quantile(x, QUANTILES, axis=0).tolist(), strict=True))
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in found.items()}


def rounded(value: Any, digits: int) -> Any:
    if isinstance(value, dict):
        return {key: rounded(each, digits) for key, each in value.items()}
    if isinstance(value, list):
        return [rounded(each, digits) for each in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value


def write(path: Path, content: dict[str, Any]) -> None:
    """A line for each of the innermost."""
    parts = []
    for name, entry in content.items():
        lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items())
        parts.append(f" {json.dumps(name)}: {{\n{lines}\n }}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def main() -> None:
    folder, draws = (Path(each) for each in sys.argv[1:3])
    write(targets.HERE / "data.json", rounded(data(folder), 15))
    targets.DATA = json.loads((targets.HERE / "data.json").read_text(encoding="utf-8"))
    reference = {}
    with h5py.File(draws) as file:
        for name, target in targets.posteriors().items():
            group = file[name]
            if tuple(json.loads(group.attrs["columns"])) != target.columns:
                raise SystemExit(f"{name}: {draws} has the columns {group.attrs['columns']}, not {target.columns}")
            x = np.concatenate([group[part][:].astype(float) for part in group])
            reference[name] = moments(x, name in QUANTILES_OF)
    write(targets.HERE / "reference.json", rounded(reference, 6))


if __name__ == "__main__":
    main()
