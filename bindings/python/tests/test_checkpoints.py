"""Trainings that are put aside, killed, and continued."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading

import diffeo
import numpy as np
import pytest
from conftest import LENGTH, two_moons

X = two_moons(900, seed=31).astype(np.float32)
WEIGHTS = np.random.default_rng(32).uniform(0.1, 2.0, len(X)).astype(np.float32)
COUNTS = np.random.default_rng(33).integers(0, 16, (900, 2)).astype(np.float32)
CONTEXT = np.random.default_rng(34).normal(size=(900, 1)).astype(np.float32)


class OnDisk:
    """Rows that are read when they are needed."""

    def __init__(self, rows):
        self.rows, self.shape, self.dtype = rows, rows.shape, rows.dtype

    def __getitem__(self, part):
        return self.rows[part]


MANY = OnDisk(two_moons(12_000, seed=35).astype(np.float32))


def small(**options):
    return diffeo.maf(**{"dim": 2, "transforms": 2, "hidden": (16,), "seed": 1} | options)


def normalised():
    spec = diffeo.Spec(2)
    for _ in range(2):
        spec.add_coupling(hidden=(16,)).add_batch_norm().add_random_permutation()
    return spec.build(seed=3)


def counts():
    spec = diffeo.Spec(2).add_dequantize(16).add_domain("logit", low=0.0, high=1.0)
    return spec.add_autoregressive(hidden=(16,)).build(seed=2)


# Everything that a training may keep from one step to the next.
CASES = {
    "by default": (small, (X,), {}),
    "float64": (lambda: small(dtype="float64"), (X,), {}),
    "sgd": (small, (X,), {"optimizer": "sgd", "lr": 1e-4}),
    "plateau": (small, (X,), {"schedule": "plateau", "plateau_patience": 1, "lr": 0.05, "warmup_steps": 9}),
    "cosine": (small, (X,), {"schedule": "cosine", "weight_decay": 0.1}),
    "caller's schedule": (small, (X,), {"schedule": lambda step, steps: 1 - step / steps}),
    "averages": (small, (X,), {"ema_decay": 0.9, "judge": "robust", "l2": 1e-3}),
    "averages without validation": (small, (X,), {"ema_decay": 0.9, "validation": 0.0}),
    "noise": (small, (X,), {"x_noise": 0.1, "clip_quantile": 0.5, "clip_norm": 3.0}),
    "weights": (small, (X,), {"weights": WEIGHTS}),
    "rows of validation": (small, (X[:600],), {"validation": X[600:]}),
    "context": (lambda: small(context_dim=1), (X, CONTEXT), {}),
    "batch normalisation": (normalised, (X,), {}),
    "counts": (counts, (COUNTS,), {}),
    "dropout": (lambda: small(dropout=0.25), (X,), {}),
    "rows that are read": (small, (MANY,), {"rows_memory": 4096, "batch_size": 512, "x_noise": 0.1}),
    "masks": (lambda: diffeo.made(2, hidden=(16,), masks=3), (X,), {}),
}


def trainer(case, **options):
    make, data, own = CASES[case]
    return diffeo.Trainer(make(), *data, **{"batch_size": 64, "max_epochs": 4, "patience": 0} | own | options)


def state(trained):
    report = dataclasses.asdict(trained.report)
    for name in "rows_per_second", "seconds", "seconds_left":
        del report[name]
    return repr(report), trained.current.parameters().tobytes(), trained.best.parameters().tobytes()


@pytest.mark.parametrize("case", CASES)
def test_a_continued_training_has_the_bits_of_one_that_never_stopped(case, tmp_path):
    whole = trainer(case)
    for _ in whole:
        pass
    per_epoch = whole.report.batches_per_epoch
    path = tmp_path / "training.h5"
    for steps in 0, 1, per_epoch - 1, per_epoch, per_epoch + 5, 3 * per_epoch, 4 * per_epoch:
        stopped = trainer(case, threads=1)
        while stopped.report.steps < steps:
            stopped.step(steps - stopped.report.steps)
        stopped.save(path)
        before = state(stopped)
        again = trainer(case, threads=2)
        again.load(path)
        if steps:
            assert state(again) == before
            assert again.report.seconds == stopped.report.seconds
        for _ in again:
            pass
        assert state(again) == state(whole)


def test_a_rate_that_was_set_is_kept(tmp_path):
    first, again = trainer("by default"), trainer("by default")
    first.step(3)
    first.lr = 0.02
    first.save(tmp_path / "training.h5")
    again.load(tmp_path / "training.h5")
    assert again.lr == 0.02
    assert state(again) == state(first)
    first.step(2), again.step(2)
    assert state(again) == state(first)


@pytest.mark.parametrize(
    ("words", "make"),
    {
        "lr is 0.001 there and 0.002": lambda: trainer("by default", lr=0.002),
        "batch_size is 64 there and 65": lambda: trainer("by default", batch_size=65),
        "seed is 0 there and 7": lambda: trainer("by default", seed=7),
        "optimizer": lambda: trainer("by default", optimizer="sgd"),
        "rows_memory is 0 there and 100": lambda: diffeo.Trainer(small(), OnDisk(X), batch_size=64, rows_memory=100),
        "validation is 0.1 there and 0.2": lambda: trainer("by default", validation=0.2),
        "other layers": lambda: trainer("masks"),
        "float32 flow, this one is float64": lambda: trainer("float64"),
        "values of x": lambda: diffeo.Trainer(small(), X + 1, batch_size=64),
        "values of x, context or weights": lambda: diffeo.Trainer(small(), X, weights=WEIGHTS, batch_size=64),
        "rows is 900 there and 899": lambda: diffeo.Trainer(small(), X[1:], batch_size=64),
        "other weights": lambda: diffeo.Trainer(small(seed=2), X, batch_size=64),
        "validation is 0.1 there and 0.0": lambda: diffeo.Trainer(small(), X, validation=X[:5], batch_size=64),
    }.items(),
)
def test_the_checkpoint_of_another_training_is_refused(words, make, tmp_path):
    path = tmp_path / "training.h5"
    first = trainer("by default")
    first.step()
    first.save(path)
    other, untouched = make(), make()
    with pytest.raises(ValueError, match=words):
        other.load(path)
    assert state(other) == state(untouched)
    other.step(), untouched.step()
    assert state(other) == state(untouched)


def test_what_is_no_checkpoint(tmp_path):
    path = tmp_path / "flow.h5"
    with pytest.raises(FileNotFoundError, match=r"flow\.h5"):
        trainer("by default").load(path)
    small().save(path)
    with pytest.raises(ValueError, match="no training"):
        trainer("by default").load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"flow\.h5"):
        trainer("by default").load(path)
    with pytest.raises(FileNotFoundError):
        trainer("by default").save(tmp_path / "nowhere" / "training.h5")
    late = trainer("by default")
    late.save(path)
    late.step(1)
    with pytest.raises(RuntimeError, match="before the first step"):
        late.load(path)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "training.h5"
    first = trainer("by default")
    first.step(5)
    first.save(path)
    whole, random = path.read_bytes(), np.random.default_rng(41)
    untouched, refused = state(trainer("by default")), 0
    for _ in range(40 * LENGTH):
        damaged = bytearray(whole)
        place = random.integers(len(whole))
        damaged[place : place + 4] = random.bytes(4)
        path.write_bytes(damaged)
        other = trainer("by default")
        try:
            other.load(path)
        except (ValueError, OSError, RuntimeError):
            refused += 1
            assert state(other) == untouched
        else:
            other.step()
    assert refused > 20 * LENGTH


FIT = {"batch_size": 64, "max_epochs": 6, "patience": 0, "progress": False}


def test_fit_goes_on_from_its_checkpoint(tmp_path):
    path = tmp_path / "training.h5"
    whole, stopped, again = small(), small(), small()
    expected = whole.fit(X, **FIT)
    epochs = []
    history = stopped.fit(
        X, **FIT, checkpoint=path, on_progress=lambda t: epochs.append(t.report.epoch) or len(epochs) == 2
    )
    assert (history.stopped, history.epoch) == ("cancelled", [1, 2])
    assert (diffeo.load(path).parameters() == stopped.parameters()).all()
    history = again.fit(X, **FIT, checkpoint=path)
    assert (history.stopped, history.epoch) == ("max_epochs", [3, 4, 5, 6])
    assert history.best_epoch == expected.best_epoch
    assert again.parameters().tobytes() == whole.parameters().tobytes()

    finished = small()
    history = finished.fit(X, **FIT, checkpoint=path)
    assert (history.stopped, history.epoch, history.best_epoch) == ("max_epochs", [], expected.best_epoch)
    assert finished.parameters().tobytes() == whole.parameters().tobytes()
    longer, new = small(), small()
    longer.fit(X, **FIT | {"max_epochs": 8}, checkpoint=path)
    new.fit(X, **FIT | {"max_epochs": 8})
    assert longer.parameters().tobytes() == new.parameters().tobytes()
    with pytest.raises(ValueError, match="lr is"):
        small().fit(X, **FIT, lr=0.1, checkpoint=path)


def test_every_so_many_epochs(tmp_path):
    path = tmp_path / "training.h5"
    seen = []
    small().fit(X, **FIT, checkpoint=path, every=4, on_progress=lambda t: seen.append(path.exists()))
    assert seen == [False, False, False, True, True, True]
    with pytest.raises(ValueError, match="every must be"):
        small().fit(X, **FIT, checkpoint=path, every=0)


def test_a_callback_that_fails_leaves_a_checkpoint(tmp_path):
    path = tmp_path / "training.h5"
    with pytest.raises(KeyError):
        small().fit(X, **FIT, checkpoint=path, every=100, on_progress=lambda t: {1: 0, 2: 0}[t.report.epoch])
    whole, again = small(), small()
    whole.fit(X, **FIT)
    assert again.fit(X, **FIT, checkpoint=path).epoch == [4, 5, 6]
    assert again.parameters().tobytes() == whole.parameters().tobytes()


def test_a_signal_stops_in_good_order(tmp_path):
    path = tmp_path / "training.h5"
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        history = small().fit(
            X, **FIT, checkpoint=path, every=100, stop_signals=[signal.SIGUSR1],
            on_progress=lambda t: t.report.epoch == 2 and os.kill(os.getpid(), signal.SIGUSR1),
        )  # fmt: skip
        assert history.stopped == "signal"
        assert len(history) < 6
        os.kill(os.getpid(), signal.SIGUSR1)
        assert heard == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)
    whole, again = small(), small()
    whole.fit(X, **FIT)
    again.fit(X, **FIT, checkpoint=path)
    assert again.parameters().tobytes() == whole.parameters().tobytes()


def test_signals_are_for_the_main_thread():
    raised = []

    def fits():
        try:
            small().fit(X, **FIT, stop_signals=[signal.SIGTERM])
        except ValueError as error:
            raised.append(str(error))

    thread = threading.Thread(target=fits)
    thread.start()
    thread.join()
    assert "main thread" in raised[0]


TRAINING = """
import sys, diffeo, numpy as np
x = np.random.default_rng(5).normal(size=(2000, 2)) @ [[1.0, 0.5], [0.0, 1.0]]
flow = diffeo.maf(2, transforms=2, hidden=(16,), seed=1)
print("begins", flush=True)
flow.fit(x, batch_size=64, max_epochs=30, patience=0, progress=False, checkpoint=sys.argv[1])
flow.save(sys.argv[2])
"""


def training(checkpoint, flow):
    return subprocess.Popen([sys.executable, "-c", TRAINING, checkpoint, flow], stdout=subprocess.PIPE)


@pytest.mark.long
def test_kills_at_any_moment_cost_no_more_than_the_epochs_since_the_last_checkpoint(tmp_path):
    with training(tmp_path / "unbroken.h5", tmp_path / "whole.h5") as whole:
        whole.wait()
    random, kills, longest = np.random.default_rng(6), 0, 0.3
    while kills < 10 * LENGTH:
        checkpoint, flow = tmp_path / f"training-{kills}.h5", tmp_path / f"flow-{kills}.h5"
        finished, written = False, None
        while not finished:
            with training(checkpoint, flow) as process:
                assert process.stdout.readline() == b"begins\n"
                try:
                    finished = process.wait(random.uniform(0, longest)) == 0
                    assert finished
                except subprocess.TimeoutExpired:
                    process.kill()
                    kills += 1
            before, written = written, checkpoint.read_bytes() if checkpoint.exists() else None
            if written:
                diffeo.load(checkpoint)
            if written == before:
                longest *= 1.1  # a machine with much other work, where no epoch would ever end
        assert flow.read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_a_checkpoint_has_the_names_of_columns(tmp_path):
    class Frame:
        columns = ("mass", "angle")

        def __array__(self, dtype=None, copy=None):
            return X.astype(dtype or X.dtype)

        def to_numpy(self):
            return X

    flow = small()
    flow.fit(Frame(), **FIT, checkpoint=tmp_path / "training.h5")
    assert diffeo.load(tmp_path / "training.h5").columns == flow.columns == ("mass", "angle")
