"""Training to a density: what it learns, what it reports, how it ends, checkpoints, adapters."""

import ctypes
import inspect
import math
import signal

import diffeo
import numpy as np
import pytest
from diffeo import _abi
from diffeo.errors import CancelledError, NumericError, ShapeError, UnsupportedError

MEAN = np.array([1.0, -2.0])
SCALE = np.array([[1.0, 0.0], [0.8, 0.5]])  # x = MEAN + SCALE z
PRECISION = np.linalg.inv(SCALE @ SCALE.T)
LOG_CONSTANT = 3.7


def gaussian(x):
    """Up to a constant that the evidence must find: log Z = LOG_CONSTANT."""
    d = x - MEAN
    log_p = -0.5 * np.einsum("ni,ij,nj->n", d, PRECISION, d)
    constant = LOG_CONSTANT - math.log(2 * math.pi) + 0.5 * np.linalg.slogdet(PRECISION)[1]
    return log_p + constant, -d @ PRECISION


def two_modes(x):
    """Equal normals at -4 and 4 in the first column, of standard deviation 1."""
    logs = np.stack([-0.5 * ((x - [side, 0.0]) ** 2).sum(1) for side in (-4.0, 4.0)])
    total = np.logaddexp(*logs)
    share = np.exp(logs - total)
    gradient = -(share[0, :, None] * (x - [-4.0, 0.0]) + share[1, :, None] * (x - [4.0, 0.0]))
    return total - math.log(2) - math.log(2 * math.pi), gradient


def linear(**options):
    """A full-covariance Gaussian: the target is among its members."""
    spec = diffeo.Spec(2, dtype="float64")
    spec.add_elementwise_affine()
    spec.add_lu(seed=1)
    return spec.build(seed=1, **options)


@pytest.mark.parametrize("estimator", ["path", "reverse_kl", "importance", "mass_covering"])
def test_each_estimator_finds_a_gaussian(estimator):
    flow = linear()
    history = flow.fit_target(
        gaussian, steps=1500, batch_size=128, lr=2e-2, schedule="cosine", estimator=estimator, draws=2, progress=False
    )
    assert len(history) == 15
    assert history.steps[-1] == 1500
    assert history.stopped == "max_epochs"
    x = flow.sample(100_000, seed=1)
    assert x.mean(0) == pytest.approx(MEAN, abs=0.05)
    assert np.cov(x.T) == pytest.approx(SCALE @ SCALE.T, abs=0.06)
    assert history.log_evidence[-1] == pytest.approx(LOG_CONSTANT, abs=0.02)
    assert history.bound[-1] <= LOG_CONSTANT + 4 * history.elbo_error[-1] + 1e-6
    assert history.pareto_k[-1] < 0.5


def test_the_path_gradient_has_no_noise_where_the_flow_is_the_target():
    flow = linear()
    flow.fit_target(gaussian, steps=1500, lr=2e-2, schedule="cosine", progress=False)
    norms = {}
    for estimator in ("path", "reverse_kl"):
        trainer = diffeo.TargetTrainer(flow, gaussian, steps=20, window=1, lr=1e-12, estimator=estimator)
        norms[estimator] = np.mean([report.gradient_norm for report in trainer])
    assert norms["path"] < 1e-2 * norms["reverse_kl"]


def test_a_curved_target():
    def banana(x):
        bend = x[:, 1] - x[:, 0] ** 2
        return -0.5 * x[:, 0] ** 2 - 2 * bend**2, np.stack([-x[:, 0] + 8 * x[:, 0] * bend, -4 * bend], axis=1)

    flow = diffeo.realnvp(2, transforms=4, hidden=(32, 32), seed=1)
    history = flow.fit_target(banana, steps=1000, lr=5e-3, schedule="cosine", progress=False)
    assert history.log_evidence[-1] == pytest.approx(math.log(math.pi), abs=0.03)
    assert history.pareto_k[-1] < 0.7
    x = flow.sample(50_000, seed=2)
    assert x.mean(0) == pytest.approx([0.0, 1.0], abs=0.06)
    assert x[:, 0].std() == pytest.approx(1.0, abs=0.06)


def test_mass_covering_and_tempering_keep_both_modes():
    def shares(flow):
        left = (flow.sample(20_000, seed=1)[:, 0] < 0).mean()
        return min(left, 1 - left)

    wide = diffeo.Spec(2).add_standardize(np.zeros(2), np.full(2, 0.2))
    for i in range(6):
        wide.add_coupling((32, 32), mask="even" if i % 2 else "odd")
    flow = wide.build(seed=2)
    flow.fit_target(
        two_modes, steps=1500, lr=3e-3, batch_size=512, estimator="mass_covering", schedule="cosine", progress=False
    )
    assert shares(flow) > 0.4
    tempered = diffeo.realnvp(2, hidden=(32, 32), seed=2)
    tempered.fit_target(
        two_modes, steps=1500, lr=3e-3, tempering=0.02, tempering_steps=1000, schedule="cosine", progress=False
    )
    assert shares(tempered) > 0.2


def test_amortised():
    """X given c is normal around (c, 2 c)."""

    def target(x, context):
        d = x - context * [1.0, 2.0]
        return -0.5 * (d**2).sum(1) / 0.25 - math.log(2 * math.pi * 0.25), -d / 0.25

    context = np.linspace(-1, 1, 41)[:, None]
    flow = diffeo.maf(2, context_dim=1, transforms=2, hidden=(32,), activation="tanh", seed=3)
    history = flow.fit_target(target, context, steps=1500, lr=5e-3, schedule="cosine", progress=False)
    assert history.elbo[-1] > -0.05
    for c in (-0.8, 0.5):
        x = flow.sample(20_000, np.array([c]), seed=1)
        assert x.mean(0) == pytest.approx([c, 2 * c], abs=0.1)
        assert x.std(0) == pytest.approx([0.5, 0.5], abs=0.06)
    with pytest.raises(ShapeError, match="context of 1"):
        flow.fit_target(target)
    with pytest.raises(ShapeError, match="no context"):
        diffeo.maf(2).fit_target(gaussian, context)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_for_any_number_of_threads(dtype):
    def trained(threads):
        flow = diffeo.realnvp(2, transforms=3, hidden=(16,), dtype=dtype, seed=1)
        flow.fit_target(gaussian, steps=40, window=10, batch_size=700, threads=threads, progress=False)
        return flow.parameters()

    assert np.array_equal(trained(1), trained(3))


def test_target_gets_arrays_of_its_own():
    seen = []

    def target(x):
        seen.append(x)
        return gaussian(x.astype(float))

    flow = diffeo.maf(2, hidden=(8,), transforms=1)
    flow.fit_target(target, steps=2, window=1, batch_size=5, progress=False)
    first, second = seen
    assert first.shape == (5, 2)
    assert first.dtype == np.float32
    assert not np.array_equal(first, second)


def test_failures_of_the_target():
    flow = diffeo.realnvp(2, transforms=2, hidden=(8,), seed=4)
    before = flow.parameters()
    calls = []

    def raising(x):
        calls.append(1)
        if len(calls) == 25:
            raise ZeroDivisionError("as itself")
        return gaussian(x)

    with pytest.raises(ZeroDivisionError, match="as itself"):
        flow.fit_target(raising, steps=100, window=10, lr=1e-2, progress=False)
    kept = flow.parameters()
    assert not np.array_equal(kept, before)
    assert np.isfinite(kept).all()

    with pytest.raises(NumericError, match="finite"):
        flow.fit_target(lambda x: (np.full(len(x), np.nan), x), steps=20, window=5, progress=False)
    assert np.array_equal(flow.parameters(), kept)

    def sometimes(x):
        log_p, gradient = gaussian(x)
        calls.append(1)
        return (log_p * np.nan if len(calls) % 3 == 0 else log_p), gradient

    history = flow.fit_target(sometimes, steps=30, window=10, progress=False)
    assert history.skipped_steps == 10

    for wrong, words in (
        (lambda x: (np.zeros(3), x), r"log-density has shape \(3,\)"),
        (lambda x: (np.zeros(len(x)), np.zeros(len(x))), "gradient has shape"),
        (lambda x: np.zeros(len(x)), "a tuple of two"),
        (lambda x: ("a", x), "log-density"),
    ):
        with pytest.raises((ShapeError, TypeError), match=words):
            flow.fit_target(wrong, steps=2, progress=False)


def test_minus_infinity_is_outside_where_mass_is_covered():
    """The upper half of a normal."""

    def half(x):
        return np.where(x[:, 0] > 0, -0.5 * x[:, 0] ** 2, -np.inf)

    flow = diffeo.spline_autoregressive(1, seed=1)
    history = flow.fit_target(half, steps=600, estimator="mass_covering", lr=5e-3, progress=False)
    assert history.skipped_steps == 0
    assert (flow.sample(10_000, seed=1) > 0).mean() > 0.97


def test_flows_that_cannot():
    with pytest.raises(UnsupportedError, match="batch_norm"):
        diffeo.maf(2, batch_norm=True).fit_target(gaussian, progress=False)
    with pytest.raises(UnsupportedError, match="bernoulli"):
        diffeo.made(2, conditional="bernoulli").fit_target(gaussian, progress=False)
    with pytest.raises(ValueError, match="batch_size is 10 and draws 4"):
        diffeo.maf(2).fit_target(gaussian, estimator="importance", draws=4, batch_size=10, progress=False)
    with pytest.raises(ValueError, match="tempering is 0"):
        diffeo.maf(2).fit_target(gaussian, tempering=0.0, progress=False)


def test_unset_layers_become_the_identity():
    flow = diffeo.glow(2, transforms=1, hidden=(4,), dtype="float64", seed=2)
    trainer = diffeo.TargetTrainer(flow, gaussian, steps=0)
    assert trainer.best.log_prob(np.zeros((1, 2))) == pytest.approx(flow.log_prob(np.zeros((1, 2))))
    assert trainer.finished


def test_patience_callbacks_and_report(tmp_path):
    flow = diffeo.realnvp(2, transforms=2, hidden=(16,), seed=1)
    seen = []
    history = flow.fit_target(
        gaussian,
        steps=5000,
        window=50,
        patience=3,
        lr=2e-2,
        progress=False,
        on_progress=lambda t: seen.append(t.report) and None,
    )
    assert history.stopped == "patience"
    assert len(history) == len(seen) < 100
    assert seen[-1].windows == len(history)
    assert seen[-1].state == "patience"
    assert seen[-1].best_window == history.best_window <= len(history) - 3
    stopped = flow.fit_target(gaussian, steps=500, window=50, progress=False, on_progress=lambda t: True)
    assert stopped.stopped == "cancelled"
    assert len(stopped) == 1
    assert str(history).startswith(f"{history.steps[-1]} steps in ")

    trainer = diffeo.TargetTrainer(flow, gaussian, steps=200)
    trainer.cancel()
    with pytest.raises(CancelledError):
        trainer.step()


def test_checkpoints_continue_with_the_same_bits(tmp_path):
    def new():
        return diffeo.TargetTrainer(
            diffeo.maf(2, transforms=2, hidden=(8,), seed=3), gaussian, steps=60, window=20, ema_decay=0.9,
            schedule="cosine", tempering=0.1, tempering_steps=30, batch_size=32, seed=5,
        )  # fmt: skip

    whole = new()
    reports = list(whole)
    half = new()
    half.step()
    half.step(7)
    half.save(tmp_path / "half.h5")
    again = new()
    again.load(tmp_path / "half.h5")
    assert again.report.steps == 27
    assert again.report.log_evidence == half.report.log_evidence
    rest = list(again)
    assert np.array_equal(again.best.parameters(), whole.best.parameters())
    assert np.array_equal(again.current.parameters(), whole.current.parameters())
    for name in ("elbo", "elbo_error", "bound", "best_bound", "log_evidence", "pareto_k", "effective_samples"):
        assert getattr(rest[-1], name) == getattr(reports[-1], name), name
    diffeo.load(tmp_path / "half.h5")
    other = diffeo.TargetTrainer(diffeo.maf(2, transforms=2, hidden=(8,), seed=3), gaussian, steps=60, window=20)
    with pytest.raises(ValueError, match=r"differ|is .* there"):
        other.load(tmp_path / "half.h5")
    likelihood = diffeo.Trainer(
        diffeo.maf(2, transforms=2, hidden=(8,), seed=3), np.random.default_rng(1).normal(size=(50, 2))
    )
    with pytest.raises(ValueError, match="variational"):
        likelihood.load(tmp_path / "half.h5")


def test_a_signal_saves_and_stops(tmp_path):
    flow = diffeo.realnvp(2, transforms=2, hidden=(8,))
    count = []

    def target(x):
        count.append(1)
        if len(count) == 30:
            signal.raise_signal(signal.SIGUSR1)
        return gaussian(x)

    history = flow.fit_target(
        target, steps=2000, window=20, progress=False, checkpoint=tmp_path / "c.h5", stop_signals=[signal.SIGUSR1]
    )
    assert history.stopped == "signal"
    assert (tmp_path / "c.h5").exists()
    again = diffeo.realnvp(2, transforms=2, hidden=(8,))
    rest = again.fit_target(target, steps=4000, window=20, progress=False, checkpoint=tmp_path / "c.h5")
    assert rest.steps[-1] == 4000
    assert rest.steps[0] > history.steps[-1] if history.steps else rest.steps[0] == 20


def test_k_hat_and_effective_sample_size_are_those_of_diagnostics():
    flow = diffeo.maf(2, transforms=1, hidden=(4,), dtype="float64", seed=1)
    trainer = diffeo.TargetTrainer(flow, gaussian, steps=4, window=4, batch_size=500, seed=9, lr=1e-30)
    report = trainer.step()
    x, log_q = flow.sample_and_log_prob(2000, seed=9)
    log_w = gaussian(x)[0] - log_q
    assert report.pareto_k == pytest.approx(diffeo.diagnostics.pareto_k(log_w), rel=1e-6)
    assert report.effective_samples == pytest.approx(diffeo.diagnostics.effective_sample_size(log_w), rel=1e-6)
    assert report.elbo == pytest.approx(log_w.mean())
    assert report.elbo_error == pytest.approx(log_w.std(ddof=1) / math.sqrt(2000))


def test_importance():
    flow = linear()
    flow.fit_target(gaussian, steps=800, lr=2e-2, schedule="cosine", progress=False)
    found = diffeo.importance(flow, gaussian, 70_000, seed=3)
    assert found.log_evidence == pytest.approx(LOG_CONSTANT, abs=5 * found.log_evidence_error + 1e-3)
    assert found.weights.sum() == pytest.approx(1)
    assert found.effective_samples == pytest.approx(diffeo.diagnostics.effective_sample_size(found.log_weights))
    mean, error = found.mean(found.x)
    assert (abs(mean - MEAN) < 5 * error).all()
    # The error of the evidence is that of repetitions.
    wide = diffeo.Spec(2, dtype="float64").add_standardize(MEAN, np.full(2, 2.0)).build()
    logs = [diffeo.importance(wide, gaussian, 2000, seed=seed) for seed in range(100)]
    spread = np.std([one.log_evidence for one in logs])
    assert spread == pytest.approx(np.mean([one.log_evidence_error for one in logs]), rel=0.3)
    few = diffeo.importance(flow, lambda x: np.where(x[:, 0] > 0, 0.0, -np.inf), 10)
    assert math.isnan(few.pareto_k)
    assert len(few.x) == 10
    with pytest.raises(NumericError, match="log_density is nan in row 0"):
        diffeo.importance(flow, lambda x: np.full(len(x), np.nan))
    with pytest.raises(NumericError, match="all -inf"):
        diffeo.importance(flow, lambda x: np.full(len(x), -np.inf))
    with pytest.raises(ShapeError, match="log_density gave shape"):
        diffeo.importance(flow, lambda x: x)


class FakeModel:
    """The methods of bridgestan.StanModel that are used, as of bridgestan 2."""

    def param_unc_num(self):
        return 2

    def log_density_gradient(self, theta_unc, propto=True, jacobian=True):
        if theta_unc[0] > 50:
            raise RuntimeError("rejected")
        log_p, gradient = gaussian(theta_unc[None])
        return log_p[0], gradient[0]


def test_stan_models():
    target = diffeo.targets.from_stan(FakeModel())
    x = np.array([[0.3, 0.1], [60.0, 0.0]], np.float32)
    log_p, gradient = target(x)
    assert log_p[0] == pytest.approx(gaussian(x.astype(float))[0][0])
    assert log_p[1] == -np.inf
    assert gradient[0] == pytest.approx(gaussian(x.astype(float))[1][0])
    flow = diffeo.maf(3, hidden=(4,), transforms=1)
    with pytest.raises(ShapeError, match="dim 3, the model 2"):
        flow.fit_target(target, steps=1, progress=False)


def test_functions_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    target = diffeo.targets.from_torch(lambda x: -0.5 * ((x - 1) ** 2).sum(1))
    log_p, gradient = target(np.zeros((4, 2), np.float32))
    assert log_p == pytest.approx(np.full(4, -1.0))
    assert gradient == pytest.approx(np.ones((4, 2)))
    with pytest.raises(ShapeError, match="log_density gave shape"):
        diffeo.targets.from_torch(lambda x: x.sum())(np.zeros((4, 2)))
    assert torch is not None


def test_functions_of_jax():
    pytest.importorskip("jax", reason="JAX is not installed")
    target = diffeo.targets.from_jax(lambda x: -0.5 * ((x - 1) ** 2).sum())
    log_p, gradient = target(np.zeros((4, 2), np.float32))
    assert log_p == pytest.approx(np.full(4, -1.0))
    assert gradient == pytest.approx(np.ones((4, 2)))


def test_a_target_of_c_is_called_as_it_is():
    """A function pointer is no function of Python: what ctypes calls here could as well be compiled."""

    def normal(user, n, x, context, log_density, gradient):
        assert user is None
        assert not context
        rows = np.ctypeslib.as_array(x, (n, 2))
        np.ctypeslib.as_array(log_density, (n,))[:] = -0.5 * (rows**2).sum(1)
        if gradient:
            np.ctypeslib.as_array(gradient, (n, 2))[:] = -rows
        return 0

    doubles = ctypes.POINTER(ctypes.c_double)
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, doubles, doubles, doubles, doubles)
    pointer = kind(normal)

    class Compiled:
        """As Numba's `cfunc` gives it."""

        ctypes = pointer

    def of_python(x):
        return -0.5 * (x**2).sum(1), -x

    def trained(target):
        flow = linear()
        flow.fit_target(target, steps=200, lr=1e-2, progress=False)
        return flow.parameters()

    expected = trained(of_python)
    assert (trained(pointer) == expected).all()
    assert (trained(Compiled()) == expected).all()


def test_defaults_are_those_of_c():
    flow = diffeo.maf(2)
    trainer = diffeo.TargetTrainer(flow, gaussian)
    never = _abi.TargetF32(lambda *_: 1)
    handle = _abi.create(_abi.Vi, _abi.lib.diffeo_vi_create_f32, flow._handle, None, never, None, None, 0)
    report = _abi.VariationalReport(struct_size=ctypes.sizeof(_abi.VariationalReport))
    _abi.lib.diffeo_vi_report(handle, ctypes.byref(report))
    assert report.base_learning_rate == trainer.lr == 5e-3
    assert report.total_steps == trainer.report.total_steps
    options = _abi.defaults(_abi.ViOptions, _abi.lib.diffeo_vi_options_init)
    parameters = inspect.signature(diffeo.TargetTrainer).parameters
    for name in ("steps", "batch_size", "window", "patience", "draws", "tempering", "tempering_steps"):
        assert parameters[name].default == getattr(options, name)
    assert _abi.ESTIMATORS[parameters["estimator"].default] == options.estimator


def test_densities_beyond_single_precision_are_no_warning(recwarn):
    def target(x):
        return np.where(x[:, 0] > 0, 1e300, 0.0), x

    flow = diffeo.maf(2, seed=1)
    trainer = diffeo.TargetTrainer(flow, target, window=2, batch_size=8)
    assert trainer.step(1).skipped_steps == 1
    assert not recwarn.list


@pytest.mark.parametrize("estimator", ["reverse_kl", "importance"])
def test_contexts_of_a_step_are_given_their_gradient(estimator):
    """That of the step's bound, whose random numbers are those of the seed and the step."""

    def target(x, context):
        d = x - [1.0, -0.5]  # what a target makes of the context is its own affair
        return -2 * (d**2).sum(1), -4 * d

    flow = diffeo.maf(2, context_dim=2, transforms=2, hidden=(8,), activation="tanh", seed=3, dtype="float64")
    rng = np.random.default_rng(0)
    context, direction = rng.normal(size=(2, 12, 2))

    def step(h):
        options = {"batch_size": 12, "window": 1, "draws": 4, "estimator": estimator, "seed": 5, "clip_quantile": 0.0}
        trainer = diffeo.TargetTrainer(flow, target, context[:1], **options)
        report, gradient = trainer.step_given(context + h * direction)
        assert report.steps == 1
        return report.bound, gradient

    h = 1e-5
    slope = (step(h)[0] - step(-h)[0]) / (2 * h)
    assert (step(0)[1] * direction).sum() == pytest.approx(slope, rel=1e-6)


def test_contexts_of_a_step_by_the_path_estimator_have_the_same_mean():
    def target(x, context):
        return -0.5 * ((x - 2) ** 2).sum(1), 2 - x

    flow = diffeo.maf(1, context_dim=1, transforms=2, hidden=(8,), activation="tanh", seed=3, dtype="float64")
    context = np.full((4096, 1), 0.7)

    def mean(estimator):
        trainer = diffeo.TargetTrainer(flow, target, context[:1], batch_size=4096, estimator=estimator, seed=1)
        return trainer.step_given(context)[1].sum()

    assert mean("path") == pytest.approx(mean("reverse_kl"), rel=0.1)


def test_contexts_of_a_step_that_are_refused():
    def target(x, context):
        return np.full(len(x), np.nan), x

    flow = diffeo.maf(2, context_dim=1)
    trainer = diffeo.TargetTrainer(flow, target, [[0.0]], batch_size=4, window=8)
    with pytest.raises(ShapeError, match=r"\(3, 1\), expected \(4, 1\)"):
        trainer.step_given(np.zeros((3, 1)))
    report, gradient = trainer.step_given(np.zeros((4, 1)))
    assert report.skipped_steps == 1
    assert (gradient == 0).all()
    with pytest.raises(ShapeError, match="no context"):
        diffeo.TargetTrainer(diffeo.maf(2), gaussian).step_given(np.zeros((256, 1)))
