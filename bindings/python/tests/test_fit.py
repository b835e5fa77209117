"""Training."""

import inspect
import itertools
import os
import signal
import threading
import time
import warnings

import diffeo
import numpy as np
import pytest
from conftest import regression, two_moons


def small(**options):
    return diffeo.maf(**{"dim": 2, "transforms": 3, "hidden": (32,), "seed": 1} | options)


def fit(flow, x, context=None, **options):
    return flow.fit(x, context, **{"max_epochs": 3, "batch_size": 256, "progress": False} | options)


def test_it_learns_what_a_gaussian_cannot(moons):
    test = two_moons(4000, seed=20)
    mean, covariance = moons.mean(axis=0), np.cov(moons.T)
    solved = np.linalg.solve(covariance, (test - mean).T)
    gaussian = -0.5 * ((test - mean) * solved.T).sum(axis=1) - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    flow = small(transforms=5, hidden=(64, 64))
    history = fit(flow, moons, max_epochs=40, batch_size=128, lr=2e-3, schedule="cosine")
    assert flow.log_prob(test).mean() > gaussian.mean() + 0.4
    assert abs(flow.sample(20000, seed=1).mean(axis=0) - mean).max() < 0.1
    assert history.best_log_prob == max(history.validation_log_prob)
    assert history.validation_log_prob[history.best_epoch - 1] == history.best_log_prob


def test_context_helps():
    x, context = regression(3000, seed=21)
    conditional = small(dim=3, context_dim=2)
    blind = small(dim=3)
    fit(conditional, x, context, max_epochs=8)
    fit(blind, x, max_epochs=8)
    assert conditional.log_prob(x, context).mean() > blind.log_prob(x).mean() + 0.5


def test_history(moons):
    history = fit(small(), moons, max_epochs=5, schedule="cosine", lr=2e-3)
    assert len(history) == 5
    assert history.epoch == [1, 2, 3, 4, 5]
    for values in (history.train_log_prob, history.validation_log_prob, history.learning_rate, history.seconds):
        assert len(values) == 5
        assert np.isfinite(values).all()
    assert history.learning_rate == sorted(history.learning_rate, reverse=True)
    assert history.learning_rate[0] <= 2e-3
    assert history.seconds == sorted(history.seconds)
    assert history.stopped == "max_epochs"
    assert 1 <= history.best_epoch <= 5
    assert "5 epochs" in str(history)


def test_the_flow_has_the_best_weights(moons):
    held_out = two_moons(500, seed=22)
    flow = small(dtype="float64")
    history = fit(flow, moons, validation=held_out, max_epochs=6, lr=1e-2)
    assert flow.log_prob(held_out).mean() == pytest.approx(history.best_log_prob, rel=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_seed_same_bits(moons, dtype):
    x = moons.astype(dtype)
    first = small(dtype=dtype)
    fit(first, x, threads=1)
    again, threaded, other = small(dtype=dtype), small(dtype=dtype), small(dtype=dtype)
    fit(again, x, threads=1)
    fit(threaded, x, threads=3)
    fit(other, x, threads=1, seed=5)
    np.testing.assert_array_equal(again.parameters(), first.parameters())
    np.testing.assert_array_equal(threaded.parameters(), first.parameters())
    assert (other.parameters() != first.parameters()).any()


def test_early_stopping(moons):
    history = fit(small(), moons[:200], validation=moons[200:260], max_epochs=2000, patience=3, lr=2e-2, batch_size=20)
    assert history.stopped == "patience"
    assert len(history) == history.best_epoch + 3 < 2000


def test_validation_may_be_rows():
    x, context = regression(600, seed=23)
    flow = small(dim=3, context_dim=2)
    seen = []

    def note(trainer):
        seen.append(trainer.report)

    fit(flow, x, context, validation=(x[:50], context[:50]), max_epochs=1, on_progress=note)
    assert (seen[0].train_rows, seen[0].validation_rows) == (600, 50)
    fit(flow, x, context, validation=0.25, max_epochs=1, on_progress=note)
    assert (seen[1].train_rows, seen[1].validation_rows) == (450, 150)
    history = fit(flow, x, context, validation=0, max_epochs=2, on_progress=note)
    assert (seen[2].train_rows, seen[2].validation_rows) == (600, 0)
    assert np.isnan(history.validation_log_prob).all()
    assert history.best_log_prob == max(history.train_log_prob)
    with pytest.raises(ValueError, match="validation context is missing"):
        fit(flow, x, context, validation=x[:50])
    with pytest.raises(ValueError, match="validation x has 2 columns, this flow has dim 3"):
        fit(flow, x, context, validation=(x[:50, :2], context[:50]))


def test_lists_and_frames(moons):
    expected = small()
    fit(expected, moons[:300].astype(np.float32), max_epochs=1)
    flow = small()
    fit(flow, moons[:300].tolist(), max_epochs=1)
    np.testing.assert_array_equal(flow.parameters(), expected.parameters())
    pandas = pytest.importorskip("pandas")
    flow = small()
    fit(flow, pandas.DataFrame(moons[:300]).astype("float32"), max_epochs=1)
    np.testing.assert_array_equal(flow.parameters(), expected.parameters())


def test_one_column(moons):
    flow = small(dim=1)
    fit(flow, moons[:, 0])
    assert flow.log_prob(moons[:, 0]).shape == (4000,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_data_must_be_finite(moons, value):
    x = moons[:600].copy()
    x[417, 1] = value
    flow = small()
    before = flow.parameters()
    with pytest.raises(ArithmeticError, match=r"row 417\b.*column 1\b") as caught:
        fit(flow, x)
    assert isinstance(caught.value, diffeo.Error)
    assert caught.value.name == "DIFFEO_ENUMERIC"
    np.testing.assert_array_equal(flow.parameters(), before)


def test_a_constant_column_cannot_be_standardised(moons):
    x = moons[:100].copy()
    x[:, 1] = 2.385
    with pytest.raises(diffeo.Error, match="1") as caught:
        fit(small(), x)
    assert caught.value.name == "DIFFEO_ENUMERIC"


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.0},
        {"lr": -1.0},
        {"batch_size": 0},
        {"max_epochs": -1},
        {"patience": -1},
        {"validation": 1.5},
        {"validation": -0.1},
        {"schedule": "linear"},
        {"threads": 0},
        {"seed": -1},
        {"weight_decay": -1.0},
        {"clip_norm": -1.0},
    ],
)
def test_options_that_cannot_be(moons, options):
    with pytest.raises(ValueError):
        fit(small(), moons[:100], **options)


def test_on_progress_stops(moons):
    seen = []

    def on_progress(trainer):
        seen.append(trainer.report)
        return trainer.report.epoch == 3

    flow = small()
    history = fit(flow, moons, max_epochs=50, on_progress=on_progress)
    assert [report.epoch for report in seen] == history.epoch == [1, 2, 3]
    assert history.stopped == "cancelled"
    assert [report.train_log_prob for report in seen] == history.train_log_prob
    with pytest.raises(AttributeError):
        seen[0].epoch = 2


def test_an_exception_of_on_progress_passes_and_keeps_the_best(moons):
    def on_progress(trainer):
        if trainer.report.epoch == 3:
            raise KeyError("stop here")

    stopped, expected = small(), small()
    with pytest.raises(KeyError, match="stop here"):
        fit(stopped, moons, max_epochs=50, on_progress=on_progress)
    fit(expected, moons, max_epochs=3)
    np.testing.assert_array_equal(stopped.parameters(), expected.parameters())


@pytest.fixture
def ctrl_c():
    """Shells start what runs in the background with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_the_best(moons):
    def on_progress(trainer):
        if trainer.report.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    flow, expected = small(), small()
    with pytest.raises(KeyboardInterrupt):
        fit(flow, moons, max_epochs=50, on_progress=on_progress)
    fit(expected, moons, max_epochs=3)
    np.testing.assert_array_equal(flow.parameters(), expected.parameters())


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_within_an_epoch_is_heard_soon():
    """And ends a loop of fits, not only one of them."""
    x = np.random.default_rng(24).normal(size=(200_000, 2)).astype(np.float32)
    flows, begun = [small(hidden=(64, 64)), small(hidden=(64, 64))], []
    before = flows[0].parameters()
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.perf_counter()

    def loop():
        for flow in flows:
            begun.append(flow)
            fit(flow, x, max_epochs=10_000, patience=0, batch_size=512)

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert time.perf_counter() - start < 3.5
    assert begun == flows[:1]
    assert (flows[0].parameters() != before).any()
    assert np.isfinite(flows[0].log_prob(x[:100])).all()


def test_no_epochs_set_the_layers_that_need_data(moons):
    flow = small(dtype="float64")
    history = fit(flow, moons, max_epochs=0, validation=0)
    assert (len(history), history.best_epoch, history.stopped) == (0, 0, "max_epochs")
    z, _ = flow.to_noise(moons)
    assert abs(z.mean(axis=0)).max() < 0.5


def test_training_goes_on(moons):
    flow = small()
    first = fit(flow, moons, max_epochs=5)
    second = fit(flow, moons, max_epochs=5)
    assert second.best_log_prob > first.best_log_prob - 0.05


def test_metadata_survives(moons):
    flow = small()
    flow.metadata["data"] = "two moons"
    fit(flow, moons, max_epochs=1)
    assert dict(flow.metadata) == {"data": "two moons"}


def test_the_starting_weights_are_a_candidate(moons):
    flow = small()
    fit(flow, moons, max_epochs=3)
    before = flow.log_prob(moons)
    history = fit(flow, moons, max_epochs=1, lr=0.5)
    assert history.best_epoch == 0
    np.testing.assert_array_equal(flow.log_prob(moons), before)


def test_offsets_that_float32_cannot_resolve_are_refused(moons):
    with pytest.raises(ArithmeticError, match=r"column 0 .* float32"):
        fit(small(), moons + np.array([1.7e9, 0.0]), max_epochs=1)


def test_validation_rows_redo_the_statistics(moons):
    rows = {"validation": moons[:50], "max_epochs": 0}
    one, two = (diffeo.maf(2, hidden=(8,)) for _ in range(2))
    one.fit(moons, progress=False, **rows)
    two.fit(moons, progress=False, validation=0.0, max_epochs=0)
    np.testing.assert_array_equal(one.parameters(), two.parameters())


def test_a_flow_is_used_while_another_trains(moons):
    flow, other, done = small(), small(), threading.Event()
    expected = other.log_prob(moons)

    def train():
        fit(flow, moons, max_epochs=5)
        done.set()

    thread = threading.Thread(target=train)
    thread.start()
    for _ in itertools.takewhile(lambda _: not done.is_set(), itertools.count()):
        np.testing.assert_array_equal(other.log_prob(moons), expected)
        flow.log_prob(moons[:5])
    thread.join()


def test_no_warnings_of_numpy_for_float64_data(moons):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(small(), moons * 1e3, max_epochs=1)


# ------------------------------------------------------------------------------------------------ the trainer


def test_fit_is_a_loop_over_a_trainer(moons):
    fitted = small()
    history = fit(fitted, moons, max_epochs=4, lr=1e-2, seed=1)
    trainer = diffeo.Trainer(small(), moons, max_epochs=4, lr=1e-2, seed=1, batch_size=256)
    assert trainer.report.epoch == 0
    assert not trainer.finished
    reports = list(trainer)
    assert [report.epoch for report in reports] == history.epoch == [1, 2, 3, 4]
    assert [report.validation_log_prob for report in reports] == history.validation_log_prob
    assert trainer.finished
    assert trainer.report.state == history.stopped == "max_epochs"
    np.testing.assert_array_equal(trainer.best.parameters(), fitted.parameters())

    def options(function, *others):
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.default) for p in parameters if p.name not in others]

    own = options(diffeo.Trainer, "flow")
    assert options(diffeo.Flow.fit, "self") == [
        *own, ("progress", True), ("on_progress", None), ("checkpoint", None), ("every", 1), ("stop_signals", ()),
    ]  # fmt: skip


def test_steps(moons):
    flow = small()
    trainer = diffeo.Trainer(flow, moons, batch_size=100, validation=0.0, max_epochs=3)
    before = flow.parameters()
    report = trainer.step(2)
    assert (report.steps, report.batch, report.epoch, report.state) == (2, 2, 0, "running")
    report = trainer.step()
    assert (report.batch, report.epoch, report.state) == (report.batches_per_epoch, 1, "epoch_end")
    assert report.steps == report.batches_per_epoch == -(-len(moons) // 100)
    np.testing.assert_array_equal(flow.parameters(), before)
    assert (trainer.current.parameters() != before).any()
    trainer.cancel()
    with pytest.raises(diffeo.errors.CancelledError):
        trainer.step()
    assert trainer.report.state == "cancelled"
    assert trainer.finished


def test_what_a_callback_saves_is_trained(moons, tmp_path):
    flow, seen = small(), []

    def on_progress(trainer):
        flow.save(tmp_path / "flow.h5")
        trainer.best.save(tmp_path / "best.h5")
        seen.append(trainer.best.parameters())

    fit(flow, moons, max_epochs=2, on_progress=on_progress)
    for name in ("flow.h5", "best.h5"):
        np.testing.assert_array_equal(diffeo.load(tmp_path / name).parameters(), seen[-1])


def test_weights_pick_what_is_learned():
    """Two clusters; the weights of one are 0, in the rows held out too."""
    random = np.random.default_rng(3)
    x = np.concatenate([random.normal(-3, 0.5, (800, 1)), random.normal(3, 0.5, (800, 1))]).astype(np.float32)
    weights = np.repeat([1.0, 0.0], 800)
    flow = diffeo.maf(dim=1, transforms=1, hidden=(8,))
    reports = []
    fit(flow, x, weights=weights, max_epochs=30, lr=1e-2, on_progress=lambda trainer: reports.append(trainer.report))
    assert abs(flow.sample(2000, seed=1).mean() + 3) < 0.1
    report = reports[-1]
    assert abs(report.effective_rows - 720) < 30
    assert report.train_rows == 1440
    expected = -0.5 * np.log(2 * np.pi * np.e * 0.25)
    assert abs(report.validation_log_prob - expected) < 0.15
    with pytest.raises(ArithmeticError, match=r"-1\.0 at row 2"):
        fit(small(), np.zeros((9, 2)), weights=[1, 1, -1, 1, 1, 1, 1, 1, 1])
    with pytest.raises(ValueError, match=r"weights has shape \(8,\), expected \(9,\)"):
        fit(small(), np.zeros((9, 2)), weights=np.ones(8))


@pytest.mark.parametrize("factor", [-1.0, float("nan")])
def test_a_schedule_below_0_is_refused(moons, factor):
    with pytest.raises(ValueError, match=r"schedule\(2, 30\) is"):
        fit(
            small(),
            moons[:1000],
            validation=0.0,
            batch_size=100,
            schedule=lambda step, steps: factor if step == 2 else 1,
        )


def test_schedules(moons):
    seen = []

    def triangle(step, steps):
        seen.append((step, steps))
        return 1 - abs(2 * step / steps - 1)

    trainer = diffeo.Trainer(small(), moons, batch_size=100, max_epochs=2, lr=0.01, schedule=triangle)
    rates = [trainer.step(1).learning_rate for _ in range(3)]
    steps = 2 * trainer.report.batches_per_epoch
    np.testing.assert_allclose(rates, [0.01 * triangle(i, steps) for i in range(3)], atol=1e-300)
    assert seen[:3] == [(i, steps) for i in range(3)]
    trainer = diffeo.Trainer(small(), moons, batch_size=100, lr=0.01, schedule="exponential", warmup_steps=4)
    assert trainer.step(1).learning_rate == 0.0025
    trainer.lr = 0.1
    assert trainer.step(1).learning_rate == trainer.lr / 2
    with pytest.raises(ValueError, match="above 0"):
        trainer.lr = 0.0


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "lr": 0.01},
        {"ema_decay": 0.9},
        {"x_noise": 0.05},
        {"l2": 1e-3},
        {"judge": "robust"},
        {"schedule": "plateau", "plateau_patience": 1},
        {"clip_quantile": 0.0},
    ],
)
def test_all_options_learn(moons, options):
    flow = small()
    before = flow.log_prob(moons).mean()
    history = fit(flow, moons, max_epochs=8, **({"lr": 5e-3} | options))
    assert history.best_log_prob > before + 0.1
    assert (history.cut_steps > 0) == (options.get("clip_quantile") != 0.0)


def test_the_validation_of_an_average_is_reported_where_it_is_better(moons):
    flow = small()
    # Steps so long that the weights jump about the best ones.
    options = {"validation": two_moons(1000, seed=22), "lr": 0.03, "batch_size": 32, "max_epochs": 4, "ema_decay": 0.99}
    trainer = diffeo.Trainer(flow, moons, **options)
    now = [trainer.current.log_prob(options["validation"]).mean() for _ in trainer]
    history = fit(flow, moons, **options)
    assert trainer.report.averaged
    assert history.validation_log_prob[history.best_epoch - 1] == history.best_log_prob == trainer.report.best_log_prob
    assert history.best_log_prob == max(history.validation_log_prob)
    assert flow.log_prob(options["validation"]).mean() == pytest.approx(history.best_log_prob, abs=1e-5)
    assert (np.array(history.validation_log_prob) > np.array(now) - 1e-5).all()


def test_the_worst_row_does_not_rule_the_robust_mean(moons):
    x = np.concatenate([moons, [[400.0, -300.0]]]).astype(np.float32)
    with pytest.warns(diffeo.TrainingWarning, match="400 in row 4000"):
        trainer = diffeo.Trainer(small(), x, validation=0.0, max_epochs=1)
    report = trainer.step()
    assert report.worst_row == len(moons)
    assert report.worst_log_prob < -100
    assert report.train_robust_log_prob > report.train_log_prob + 0.05
