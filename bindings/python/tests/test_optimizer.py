"""Steps along gradients of the caller's: those of a training, whatever the loss."""

import diffeo
import numpy as np
import pytest
from diffeo.errors import ShapeError, UnsupportedError

X = np.random.default_rng(0).normal([3.0, -1.0], [2.0, 0.5], size=(256, 2))


def begun(**options):
    return diffeo.Trainer(diffeo.maf(dim=2, hidden=(16, 16), dtype="float64", seed=1), X, **options).current


def likelihood_gradient(flow):
    return flow.log_prob_vjp(X, g_log_prob=-1 / len(X), of=["parameters"]).parameters


@pytest.mark.parametrize("method", ["adam", "sgd"])
def test_the_steps_are_those_of_fit(method):
    options = {
        "lr": 2e-3, "schedule": "cosine", "weight_decay": 0.1, "l2": 0.01, "clip_norm": 0.02, "optimizer": method,
    }  # fmt: skip
    trainer = diffeo.Trainer(
        diffeo.maf(dim=2, hidden=(16, 16), dtype="float64", seed=1), X, validation=0.0, batch_size=len(X),
        max_epochs=15, patience=0, **options,
    )  # fmt: skip
    optimizer = diffeo.Optimizer(trainer.current, total_steps=15, **options)
    for _ in range(15):
        trainer.step()
        report = optimizer.step(likelihood_gradient(optimizer.current))
    assert optimizer.current.parameters() == pytest.approx(trainer.current.parameters(), abs=1e-9)
    assert report.steps == 15
    assert report.cut_steps == trainer.report.cut_steps > 0
    assert report.gradient_norm == pytest.approx(trainer.report.gradient_norm, rel=1e-6)


def test_a_checkpoint_goes_on_with_the_same_bits(tmp_path):
    path = tmp_path / "optimizer.h5"
    flow = begun()
    one, other = (diffeo.Optimizer(flow, lr=1e-2, ema_decay=0.9, threads=threads) for threads in (1, 2))
    for step in range(10):
        if step == 5:
            one.save(path)
            other.load(path)
        for optimizer in [one] if step < 5 else [one, other]:
            optimizer.step(likelihood_gradient(optimizer.current))
    assert (one.current.parameters() == other.current.parameters()).all()
    assert (one.average.parameters() == other.average.parameters()).all()
    assert (one.average.parameters() != one.current.parameters()).any()
    assert diffeo.load(path).parameters().shape == flow.parameters().shape
    with pytest.raises(ValueError, match=r"lr is 0\.01 there and 0\.5 here"):
        diffeo.Optimizer(flow, lr=0.5, ema_decay=0.9).load(path)
    with pytest.raises(ValueError, match="kind"):
        diffeo.Trainer(flow, X).load(path)


def test_what_no_training_moves_stays_and_bad_gradients_are_left_out():
    flow = begun()
    optimizer = diffeo.Optimizer(flow, lr=1e-2, clip_quantile=0.0)
    before, trained = flow.parameters(), flow.trained_parameters()
    assert not trained.all()
    gradient = np.where(trained, 1.0, np.nan)  # of constants and masked weights nothing is taken
    assert optimizer.step(gradient).skipped_steps == 0
    after = optimizer.current.parameters()
    assert (after[~trained] == before[~trained]).all()
    assert after[trained] == pytest.approx(before[trained] - 1e-2, abs=1e-6)
    assert optimizer.step(np.full_like(gradient, np.inf)).skipped_steps == 1
    assert (optimizer.current.parameters() == after).all()


def test_a_cosine_stays_at_its_end():
    optimizer = diffeo.Optimizer(begun(), lr=1.0, optimizer="sgd", schedule="cosine", total_steps=4)
    gradient = np.zeros(optimizer.current.parameter_count)
    rates = [optimizer.step(gradient).learning_rate for _ in range(9)]
    assert rates[:4] == pytest.approx([(1 + np.cos(np.pi * step / 4)) / 2 for step in range(4)])
    assert rates[4:] == [0.0] * 5


def test_the_rate_is_the_callers():
    optimizer = diffeo.Optimizer(
        begun(), lr=1.0, optimizer="sgd", momentum=0.0, schedule=lambda step, total: step / total, total_steps=4
    )
    rates = [optimizer.step(np.zeros(optimizer.current.parameter_count)).learning_rate for _ in range(4)]
    assert rates == pytest.approx([0, 0.25, 0.5, 0.75])
    optimizer.lr = 8.0
    assert optimizer.step(np.zeros(optimizer.current.parameter_count)).learning_rate == 8.0


def test_what_is_refused():
    flow = begun()
    for schedule in ("exponential", "plateau"):
        with pytest.raises(ValueError, match="epochs"):
            diffeo.Optimizer(flow, schedule=schedule)
    with pytest.raises(ValueError, match="total_steps"):
        diffeo.Optimizer(flow, total_steps=-1)
    with pytest.raises(ValueError, match="total_steps is 0"):
        diffeo.Optimizer(flow, schedule="cosine")
    with pytest.raises(ValueError, match="lr"):
        diffeo.Optimizer(flow, lr=0.0)
    optimizer = diffeo.Optimizer(flow)
    with pytest.raises(ShapeError, match="gradient has shape"):
        optimizer.step([1.0, 2.0])
    with pytest.raises(TypeError):
        optimizer.step(None)
    with pytest.raises(RuntimeError, match="ema_decay"):
        _ = optimizer.average
    with pytest.raises(UnsupportedError, match="batch_norm"):
        diffeo.Optimizer(diffeo.maf(dim=2, batch_norm=True))
