"""What jobs take with `diffeo`, with zuko and a script, and with scikit-learn: the table of docs/command-line.md.

Usage: python benchmarks/jobs.py data.csv [--rows N] [--diffeo COMMAND]

data.csv has the columns l (an angle in degrees), b (between -90 and 90 degrees), three real ones and south, a word. A
job is a command of diffeo, and a function here, whose lines are counted as they stand: zuko's need torch, zuko, pandas,
scikit-learn's need scikit-learn and pandas. Seconds are those of the processor, imports included: each job runs in a
process of its own.
"""

from __future__ import annotations

import argparse
import inspect
import os
import pickle
import resource
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

REAL = ["G", "BP-RP", "G-RP"]
EPOCHS, SAMPLES = 3, 100_000


# ----------------------------------------------------------------------------------------------------------------- zuko


def zuko_fit(data, out):
    """To the line, standardised, a category as 0 and 1: a flow that is cut where the angle comes round."""
    import numpy as np
    import pandas as pd
    import torch
    import zuko

    frame = pd.read_csv(data)
    b = (frame["b"] + 90) / 180
    x = np.column_stack([frame["l"] / 180 - 1, np.log(b) - np.log1p(-b), frame[REAL]])
    c = (frame["south"] == "yes").to_numpy(float)[:, None]
    mean, std = x.mean(axis=0), x.std(axis=0)
    x, c = torch.tensor((x - mean) / std).float(), torch.tensor(c).float()
    rng = np.random.default_rng(0).permutation(len(x))
    test, held, train = np.split(rng, [len(x) // 10, len(x) // 5])
    torch.manual_seed(0)
    flow = zuko.flows.NSF(5, 1, transforms=2, hidden_features=(32, 32))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    best = None, -np.inf
    for epoch in range(EPOCHS):
        for rows in torch.tensor(np.random.default_rng(epoch).permutation(train)).split(512):
            loss = -flow(c[rows]).log_prob(x[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            now = flow(c[held]).log_prob(x[held]).mean().item()
        if now > best[1]:
            best = {name: value.clone() for name, value in flow.state_dict().items()}, now
        state = {"flow": flow.state_dict(), "optimizer": optimizer.state_dict(), "best": best, "epoch": epoch}
        torch.save(state | {"mean": mean, "std": std}, f"{out}.part")
        os.replace(f"{out}.part", out)
    flow.load_state_dict(best[0])
    with torch.no_grad():
        log_prob = flow(c[test]).log_prob(x[test]).numpy() - np.log(std).sum()
    b = b.to_numpy()[test]
    log_prob += -np.log(180) - np.log(180 * b * (1 - b))
    print(f"{log_prob.mean():.4f} +- {2 * log_prob.std() / len(test) ** 0.5:.4f} nats a row")


def zuko_resume(data, out):
    """What is added to the script above."""
    import torch

    if os.path.exists(out):
        state = torch.load(out, weights_only=False)
        flow.load_state_dict(state["flow"])  # noqa: F821
        optimizer.load_state_dict(state["optimizer"])  # noqa: F821
        best, first = state["best"], state["epoch"] + 1  # noqa: F841


def zuko_loaded(out):
    """The flow of the file, and its scales."""
    import torch
    import zuko

    state = torch.load(out, weights_only=False)
    flow = zuko.flows.NSF(5, 1, transforms=2, hidden_features=(32, 32))
    flow.load_state_dict(state["best"][0])
    return flow, state["mean"], state["std"]


def zuko_score(data, out, scores):
    """By the piece, and on from the row where it was ended."""
    import numpy as np
    import pandas as pd
    import torch

    flow, mean, std = zuko_loaded(out)
    done = 0
    if os.path.exists(scores):
        with open(scores) as file:
            done = sum(1 for _ in file)
    with open(scores, "a") as file, torch.no_grad():
        for frame in pd.read_csv(data, chunksize=32768, skiprows=range(1, 1 + done)):
            b = ((frame["b"] + 90) / 180).to_numpy()
            x = np.column_stack([frame["l"] / 180 - 1, np.log(b) - np.log1p(-b), frame[REAL]])
            c = torch.tensor((frame["south"] == "yes").to_numpy(float)[:, None]).float()
            log_prob = flow(c).log_prob(torch.tensor((x - mean) / std).float()).numpy() - np.log(std).sum()
            np.savetxt(file, log_prob - np.log(180) - np.log(180 * b * (1 - b)))


def zuko_sample(out, samples):
    """In one piece, in the memory of all."""
    import numpy as np
    import pandas as pd
    import torch

    flow, mean, std = zuko_loaded(out)
    torch.manual_seed(1)
    with torch.no_grad():
        x = flow(torch.ones(1)).sample((SAMPLES,)).numpy() * std + mean
    x[:, 0] = (x[:, 0] + 1) * 180 % 360
    x[:, 1] = 180 / (1 + np.exp(-x[:, 1])) - 90
    pd.DataFrame(x, columns=["l", "b", *REAL]).to_parquet(samples)


# --------------------------------------------------------------------------------------------------------- scikit-learn


def sklearn_fit(data, out):
    """A mixture for each word: of all columns as if they were real."""
    import numpy as np
    import pandas as pd
    from sklearn.mixture import GaussianMixture

    frame = pd.read_csv(data)
    test = np.random.default_rng(0).random(len(frame)) < 0.1
    columns = ["l", "b", *REAL]
    models, log_prob = {}, []
    for word, rows in frame.groupby("south"):
        held = test[rows.index]
        models[word] = GaussianMixture(32, random_state=0).fit(rows[columns].to_numpy()[~held])
        log_prob.append(models[word].score_samples(rows[columns].to_numpy()[held]))
    log_prob = np.concatenate(log_prob)
    with open(out, "wb") as file:
        pickle.dump(models, file)
    print(f"{log_prob.mean():.4f} +- {2 * log_prob.std() / len(log_prob) ** 0.5:.4f} nats a row")


def sklearn_score(data, out, scores):
    """By the piece; it begins anew when it was ended."""
    import numpy as np
    import pandas as pd

    with open(out, "rb") as file:
        models = pickle.load(file)
    with open(scores, "w") as file:
        for frame in pd.read_csv(data, chunksize=32768):
            log_prob = np.empty(len(frame))
            for word, model in models.items():
                rows = (frame["south"] == word).to_numpy()
                if rows.any():
                    log_prob[rows] = model.score_samples(frame.loc[rows, ["l", "b", *REAL]].to_numpy())
            np.savetxt(file, log_prob)


def sklearn_sample(out, samples):
    """From the mixture of the word: outside of the angle and the interval, too."""
    import pandas as pd

    with open(out, "rb") as file:
        model = pickle.load(file)["yes"]
    model.set_params(random_state=1)
    pd.DataFrame(model.sample(SAMPLES)[0], columns=["l", "b", *REAL]).to_parquet(samples)


# ------------------------------------------------------------------------------------------------------------ the table

KINDS = "l[deg]:angle:0:360,b[deg]:interval:-90:90"
JOBS = {  # a command of diffeo, and what is measured beside it
    "fit": f"fit {{data}} -o {{here}}/flow.h5 --columns {KINDS} --context south:category --epochs {EPOCHS} "
    "--transforms 2 --hidden 32,32",
    "score": "score {here}/flow.h5 {data} -o {here}/scores.csv -q",
    "sample": f"sample {{here}}/flow.h5 -n {SAMPLES} --seed 1 --context yes -o {{here}}/samples.parquet -q",
    "check": "check {here}/flow.h5 {data} -o {here}/report.html -q",
}


def lines(function) -> int:
    """Of code: not those of its name and its docstring, nor empty ones."""
    return sum(bool(line.strip()) for line in inspect.getsource(function).splitlines()) - 2


def measured(command: list[str]) -> tuple[float, str]:
    """Seconds of the processor, and the line of test rows, or else the last one, that is said."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return float("nan"), (done.stderr.strip() or "failed").splitlines()[-1]
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = (done.stdout.strip() or " ").splitlines()
    return spent, next((line for line in said if line.startswith("test ")), said[-1])


def main() -> None:
    """Measure all, and print a row of Markdown for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=None, help="the first so many rows")
    parser.add_argument("--diffeo", default=f"{sys.executable} -m diffeo")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        name, *arguments = shlex.split(options.run)
        globals()[name](*arguments)
        return
    with tempfile.TemporaryDirectory() as here:
        data = f"{here}/data.csv"
        with open(options.data) as source, open(data, "w") as target:
            for i, line in enumerate(source):
                if options.rows is not None and i > options.rows:
                    break
                target.write(line)
        print("| job | diffeo | zuko | scikit-learn |\n|---|---|---|---|")
        for job, command in JOBS.items():
            words = command.format(data=data, here=here)
            cells = [("1 command, {:.1f} s", [*shlex.split(options.diffeo), *shlex.split(words)])]
            for library in "zuko", "sklearn":
                function = globals().get(f"{library}_{job}")
                files = {"fit": (data,), "score": (data,), "sample": ()}.get(job, ())
                more = () if job == "fit" else (f"{here}/{library}.{job}" + (".parquet" if job == "sample" else ""),)
                call = shlex.join([f"{library}_{job}", *files, f"{here}/{library}.model", *more])
                run = [sys.executable, __file__, data, "--run", call]
                cells.append((f"{lines(function)} lines, {{:.1f}} s", run) if function else ("-", []))
            shown = []
            for text, run in cells:
                spent, said = measured(run) if run else (0.0, "")
                shown.append(text.format(spent) + (f" ({said})" if job == "fit" or spent != spent else ""))
            print(f"| {job} | {' | '.join(shown)} |", flush=True)
    print(f"zuko: {lines(zuko_resume)} lines more for --resume")


if __name__ == "__main__":
    main()
