"""The whole story on real data: train two flows on the sky, compare, hand them to a C program, look at the samples.

Run by `make demo`, which sets everything up; `make demo SEED=2` has other weights and another shuffling. Writes into
demo-output/.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import diffeo
import pictures
import stars
from diffeo import plot

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "demo-output"

# While steps are long the weights jump about the best ones, and their validation with them; that of an average rises.
TRAINING = dict(batch_size=512, lr=2e-3, max_epochs=10, schedule="cosine", ema_decay=0.998)


def architectures(seed: int) -> dict[str, diffeo.Flow]:
    # Student's t: some stars are more than ten standard deviations away, and a normal base would pay too much for them.
    same = dict(dim=5, hidden=(128, 128), base="student_t", seed=seed)
    return {
        "MAF": diffeo.maf(transforms=8, random_order=True, **same),
        "RealNVP": diffeo.realnvp(transforms=10, **same),
    }


def gaussian_log_prob(train: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Of the full-covariance Gaussian with the mean and covariance of the training rows."""
    train, x = train.astype(float), x.astype(float)
    covariance = np.cov(train, rowvar=False)
    u = np.linalg.solve(np.linalg.cholesky(covariance), (x - train.mean(0)).T)
    return -0.5 * ((u**2).sum(0) + np.linalg.slogdet(2 * np.pi * covariance)[1])


def in_c(flow: diffeo.Flow, name: str, test: np.ndarray, count: int, seed: int) -> bool:
    """Whether a C program gives the same bits from the saved file as Python does."""
    path = OUTPUT / f"{name.lower()}.h5"
    flow.save(path)
    rows, log_prob, samples = (OUTPUT / f"{part}.f32" for part in ("rows", "log_prob", "samples"))
    test.tofile(rows)
    subprocess.run([OUTPUT / "evaluate", path, rows, log_prob, samples, str(count), str(seed)], check=True)
    same = np.array_equal(np.fromfile(log_prob, np.float32), flow.log_prob(test)) and np.array_equal(
        np.fromfile(samples, np.float32).reshape(-1, *flow.shape), flow.sample(count, seed=seed))
    for part in (rows, log_prob, samples):
        part.unlink()
    return same


def main(seed: int) -> int:
    OUTPUT.mkdir(exist_ok=True)
    train, validation, test = stars.split(stars.load())
    print(f"{len(train):,} to train on, {len(validation):,} to validate, {len(test):,} to test\n")

    flows, histories = architectures(seed), {}
    for name, flow in flows.items():
        print(flow)
        start = time.perf_counter()
        histories[name] = flow.fit(train, validation=validation, seed=seed, progress=True, **TRAINING)
        least = min(np.diff(histories[name].validation_log_prob))
        print(f"{name} trained in {time.perf_counter() - start:.0f} s; from an epoch to the next validation "
              f"{'rose' if least >= 0 else 'fell'} by {abs(least):.4f} nats at {'least' if least >= 0 else 'most'}\n")

    scores = {"Gaussian": gaussian_log_prob(train, test)}
    scores |= {name: flow.log_prob(test).astype(float) for name, flow in flows.items()}
    print(f"{'test log-likelihood':24}{'nats':>10}{'2 std. errors':>16}")
    for name, score in scores.items():
        print(f"{name:24}{score.mean():10.3f}{2 * score.std() / np.sqrt(len(score)):16.3f}")
    print()

    loader = HERE.parent / "bindings" / "c"
    subprocess.run(
        [os.environ.get("CC", "cc"), "-O2", f"-I{HERE.parent / 'include'}", f"-I{loader}", HERE / "evaluate.c", "-ldl",
         "-o", OUTPUT / "evaluate"], check=True)
    agree = all([in_c(flow, name, test, 100_000, seed=7) for name, flow in flows.items()])
    print("C and Python agree bit for bit\n" if agree else "C and Python DIFFER\n")

    digits = diffeo.load(HERE / "digits.h5")
    start = time.perf_counter()
    agree &= in_c(digits, "digits", digits.sample(256, seed=5), 64, seed=7)
    print(f"A Glow of 8 x 8 digits ({digits.metadata['training']}): scored and sampled in C in "
          f"{time.perf_counter() - start:.2f} s" + (", the same bits\n" if agree else ", DIFFERENTLY\n"))

    print("Pictures and a report:")
    samples = {name: flow.sample(len(train), seed=3) for name, flow in flows.items()}
    drawn = {
        "sky": pictures.sky({"Gaia DR3": train} | {f"{name}, samples": x for name, x in samples.items()}),
        "digits": plot.images(
            {f"T = {t}": digits.sample(12, temperature=t, seed=3) for t in (0.4, 0.7, 1.0)}, quantization=17),
        "learning": plot.history(histories, reference=scores["Gaussian"].mean()),
    }
    for name, flow in flows.items():
        drawn[f"corner-{name}"] = plot.corner(flow, train, samples=samples[name], names=stars.NAMES)
        drawn[f"noise-{name}"] = plot.noise(flow, test, names=stars.NAMES)
    for name, figure in drawn.items():
        path = OUTPUT / f"{name.lower()}.png"
        figure.savefig(path, dpi=110, facecolor="white")
        print(f"  {path}")
    report = flows["MAF"].report(test, train=train, history=histories["MAF"], names=stars.NAMES, title="MAF of stars")
    report.save(OUTPUT / "report.html")
    print(f"  {OUTPUT / 'report.html'}: {report.verdict}")

    better = all(scores[name].mean() > scores["Gaussian"].mean() + 1 for name in flows)
    return 0 if agree and better else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
