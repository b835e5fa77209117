"""Flows of the literature, each by its name."""

import re

import diffeo
import numpy as np
import pytest
from conftest import gradient_by_differences, regression
from diffeo import architectures

# name: options that every test gives it
FLOWS = {
    "nice": {},
    "realnvp": {},
    "glow": {},
    "maf": {},
    "iaf": {},
    "planar": {},
    "radial": {},
    "cdf_flow": {"components": 3},
    "spline_coupling": {"bins": 5},
    "spline_autoregressive": {"bins": 5},
    "spline_coupling periodic": {"bins": 5, "periodic": True, "bound": 20.0},
    "spline_autoregressive periodic": {"bins": 5, "periodic": True, "bound": 20.0},
}
COUPLINGS = {"nice", "realnvp", "glow", "spline_coupling", "spline_coupling periodic"}
flows = pytest.mark.parametrize("name", FLOWS)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def make(name, **options):
    """Smooth and small, so that differences are good and training is quick."""
    given = {"dim": 3, "transforms": 2, "hidden": (12,), "activation": "tanh", "seed": 1} | FLOWS[name] | options
    return getattr(diffeo, name.split()[0])(**given)


def trained(name, dim=3, context_dim=2, dtype="float64", **options):
    """No longer near the identity; and rows for it."""
    x, context = regression(400, seed=5)
    x, context = x[:, :dim].astype(dtype), context[:, :context_dim].astype(dtype) if context_dim else None
    flow = make(name, dim=dim, context_dim=context_dim, dtype=dtype, **options)
    flow.fit(x, context, max_epochs=3, batch_size=50, lr=0.02, progress=False)
    return flow, x[:100], context if context is None else context[:100]


def test_all_are_here():
    named = {name for name in diffeo.__all__ if callable(getattr(diffeo, name)) and name.islower()}
    # With tests of their own.
    others = {"convert", "for_table", "from_bytes", "get_num_threads", "importance", "load", "made", "set_num_threads"}
    others |= {"glow_image", "realnvp_image"}
    assert named - others == {name.split()[0] for name in FLOWS}


@flows
def test_dropout(name):
    assert "dropout 0.25" in str(make(name, context_dim=2, dropout=0.25))
    assert "dropout" not in str(make(name, context_dim=2))
    with pytest.raises(ValueError, match=r"dropout is 1\.0, it must be 0 or more, below 1"):
        make(name, context_dim=2, dropout=1)


@flows
@dtypes
def test_facts(name, dtype):
    flow = make(name, dim=4, context_dim=2, dtype=dtype)
    assert (flow.dim, flow.context_dim, flow.dtype) == (4, 2, np.dtype(dtype))
    assert flow.parameter_count == flow.parameters().size > 0
    assert "dim=4" in repr(flow)
    assert str(flow).count("\n") >= flow.layer_count


@flows
def test_residual_blocks(name):
    """They are in every network, and begin near the identity like plain ones."""
    plain, residual = (make(name, context_dim=2, blocks=blocks) for blocks in ("plain", "residual"))
    assert residual.parameter_count > plain.parameter_count
    assert "residual blocks" in str(residual)
    assert "residual blocks" not in str(plain)


@flows
@dtypes
@pytest.mark.parametrize("context_dim", [0, 2])
def test_there_and_back(name, dtype, context_dim):
    flow, x, context = trained(name, context_dim=context_dim, dtype=dtype)
    tolerance = 2e-3 if dtype == "float32" else 1e-8
    z, log_det = flow.to_noise(x, context)
    back, log_det_back = flow.from_noise(z, context)
    assert z.shape == x.shape
    np.testing.assert_allclose(back, x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=tolerance, atol=tolerance)
    samples, log_prob = flow.sample_and_log_prob(100, context, seed=2)
    assert samples.shape == (100, 3)
    assert np.isfinite(samples).all()
    np.testing.assert_allclose(log_prob, flow.log_prob(samples, context), rtol=tolerance, atol=tolerance)


@flows
@pytest.mark.parametrize("context_dim", [0, 2])
def test_gradients_are_those_of_differences(name, context_dim):
    flow, x, context = trained(name, context_dim=context_dim)
    by_x = gradient_by_differences(lambda x: flow.log_prob(x, context), x)
    np.testing.assert_allclose(flow.grad_log_prob(x, context), by_x, rtol=1e-5, atol=1e-5)
    if context is not None:
        by_context = gradient_by_differences(lambda context: flow.log_prob(x, context), context)
        np.testing.assert_allclose(flow.grad_log_prob_context(x, context), by_context, rtol=1e-5, atol=1e-5)


@flows
@pytest.mark.parametrize("context_dim", [0, 2])
def test_one_column(name, context_dim):
    if name in COUPLINGS and context_dim == 0:
        with pytest.raises(ValueError, match="dim is 1"):
            make(name, dim=1)
        return
    flow, x, context = trained(name, dim=1, context_dim=context_dim)
    one = None if context is None else context[0]
    end = 20 if FLOWS[name].get("periodic") else 400
    grid = np.linspace(-end, end, 1000 * end + 1)
    total = np.trapezoid(np.exp(flow.log_prob(grid, one)), grid)
    assert total == pytest.approx(1, abs=2e-3 if name == "cdf_flow" else 1e-4)
    z, _ = flow.to_noise(x, context)
    np.testing.assert_allclose(flow.from_noise(z, context)[0], x, rtol=1e-8, atol=1e-8)


@flows
@dtypes
def test_saving(name, dtype, tmp_path):
    flow, x, context = trained(name, dtype=dtype)
    flow.save(tmp_path / "flow.h5")
    for again in diffeo.load(tmp_path / "flow.h5"), diffeo.from_bytes(flow.to_bytes()):
        assert str(again) == str(flow)
        np.testing.assert_array_equal(again.parameters(), flow.parameters())
        np.testing.assert_array_equal(again.log_prob(x, context), flow.log_prob(x, context))
        np.testing.assert_array_equal(again.sample(9, context[0], seed=3), flow.sample(9, context[0], seed=3))


@flows
def test_training_helps(name):
    x, context = regression(2000, seed=6)
    flow = make(name, context_dim=2)
    before = flow.log_prob(x, context).mean()
    history = flow.fit(x, context, max_epochs=5, batch_size=100, lr=5e-3, progress=False)
    assert flow.log_prob(x, context).mean() > before + 0.3
    assert np.isfinite(history.train_log_prob).all()


@flows
def test_seeds(name):
    x, _ = regression(20, seed=7)
    a, again, b = make(name), make(name), make(name, seed=2)
    np.testing.assert_array_equal(a.log_prob(x), again.log_prob(x))
    assert (a.log_prob(x) != b.log_prob(x)).any() or name == "radial"


def test_their_own_options():
    for options in {"random_order": True}, {"actnorm": True}, {"batch_norm": True}, {"scale": "exp"}:
        for maker in diffeo.maf, diffeo.iaf, diffeo.realnvp:
            plain, other = maker(3, hidden=(8,)), maker(3, hidden=(8,), **options)
            assert str(plain) != str(other), options
    for maker in diffeo.nice, diffeo.planar, diffeo.radial:
        assert "batch_norm" in str(maker(3, batch_norm=True))
        assert "actnorm" in str(maker(3, actnorm=True))
    assert "7 bins" in str(diffeo.spline_coupling(3, bins=7, bound=2.5))
    assert "[-2.5, 2.5]" in str(diffeo.spline_autoregressive(3, bound=2.5))
    assert "5 normal" in str(diffeo.cdf_flow(3, components=5))


@flows
def test_refusals(name):
    for options in (
        {"dim": 0}, {"dim": 65537}, {"context_dim": -1}, {"context_dim": 65537}, {"transforms": 0},
        {"transforms": 5000}, {"hidden": (8, 0)}, {"hidden": (2**40,)}, {"activation": "rely"}, {"seed": -1},
        {"dtype": "float16"},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            make(name, **{"context_dim": 1} | options)
    for options in {"dim": 2.5}, {"transforms": "two"}, {"nonsense": 1}, {"hidden": 8.5}:
        with pytest.raises(TypeError):
            make(name, **options)


@pytest.mark.parametrize("name", ["dim", "context_dim", "transforms", "hidden", "bins", "components", "masks"])
def test_limits_told_are_those_of_the_library(name):
    low, high = architectures._LIMITS[name]
    make = {"components": diffeo.cdf_flow, "masks": diffeo.made, "bins": diffeo.spline_coupling}.get(name, diffeo.maf)
    small = {"dim": 2, "hidden": (1,)}
    given = {"hidden": (high + 1,)} if name == "hidden" else {name: high + 1}
    with pytest.raises(diffeo.errors.InvalidArgumentError, match=rf"must be [01{low}] to {high}\b"):
        make(**small | given)
    make(**small | ({"hidden": (low,)} if name == "hidden" else {name: max(low, 2)}))


def test_hidden_layers_told_are_as_many_as_the_library_takes():
    low, high = architectures._LIMITS["hidden_count"]
    for count in low, high:
        diffeo.maf(2, transforms=1, hidden=(1,) * count)
    with pytest.raises(
        diffeo.errors.InvalidArgumentError, match=rf"len\(hidden\) is {high + 1}, it must be {low} to {high}"
    ):
        diffeo.maf(2, transforms=1, hidden=(1,) * (high + 1))


def test_refusals_of_their_own():
    for call in (
        lambda: diffeo.spline_coupling(2, bins=1),
        lambda: diffeo.spline_coupling(2, bins=65),
        lambda: diffeo.spline_autoregressive(2, bound=-1.0),
        lambda: diffeo.spline_autoregressive(2, bound=np.nan),
        lambda: diffeo.spline_autoregressive(2, bound=1e300),
        lambda: diffeo.cdf_flow(2, components=65),
        lambda: diffeo.maf(2, scale="none"),
        lambda: diffeo.maf(2, components=-1),
    ):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize("maker", [diffeo.spline_coupling, diffeo.spline_autoregressive])
def test_angles(maker):
    """On the torus the density is periodic, and a density."""
    rng = np.random.default_rng(8)
    first = rng.vonmises(1.0, 2.0, 3000)
    x = np.stack([first, np.angle(np.exp(1j * (first + rng.vonmises(0.0, 5.0, 3000))))], axis=1)
    flow = maker(2, hidden=(16,), periodic=True, dtype="float64", seed=3)
    flow.fit(x, max_epochs=10, batch_size=100, lr=5e-3, progress=False)
    uniform = -2 * np.log(2 * np.pi)
    assert flow.log_prob(x).mean() > uniform + 0.8
    turned = x + 2 * np.pi * rng.integers(-3, 4, x.shape)
    np.testing.assert_allclose(flow.log_prob(turned), flow.log_prob(x), rtol=1e-9, atol=1e-9)
    # The trapezoidal rule on a periodic grid.
    n = 400
    axis = np.arange(n) * 2 * np.pi / n - np.pi
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert np.exp(flow.log_prob(grid)).mean() * (2 * np.pi) ** 2 == pytest.approx(1, abs=2e-3)
    samples = flow.sample(1000, seed=1)
    assert (samples >= -np.pi).all()
    assert (samples < np.pi).all()


@pytest.mark.parametrize("conditional", ["gaussian", "mixture", "bernoulli"])
@pytest.mark.parametrize("masks", [1, 3])
def test_made(conditional, masks):
    rng = np.random.default_rng(10)
    x = rng.normal(size=(500, 3)) if conditional != "bernoulli" else (rng.random((500, 3)) < 0.3).astype(float)
    flow = diffeo.made(3, hidden=(16,), conditional=conditional, components=3, masks=masks, dtype="float64", seed=1)
    before = flow.log_prob(x).mean()
    flow.fit(x, max_epochs=10, batch_size=50, lr=1e-2, progress=False)
    assert flow.log_prob(x).mean() > before
    samples, log_prob = flow.sample_and_log_prob(50, seed=1)
    np.testing.assert_allclose(log_prob, flow.log_prob(samples), rtol=1e-9, atol=1e-9)
    again = diffeo.from_bytes(flow.to_bytes())
    np.testing.assert_array_equal(again.log_prob(x), flow.log_prob(x))
    if conditional == "bernoulli":
        cube = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), axis=-1).reshape(-1, 3)
        assert np.exp(flow.log_prob(cube)).sum() == pytest.approx(1)
        assert flow.log_prob([0.5, 0, 1]) == -np.inf
    else:
        by_x = gradient_by_differences(flow.log_prob, x[:50])
        np.testing.assert_allclose(flow.grad_log_prob(x[:50]), by_x, rtol=1e-5, atol=1e-5)


BASES = ["standard_normal", "normal", "logistic", "student_t", "mixture"]


@flows
def test_bases(name):
    """Those that live where the layers end; the others are refused with a sentence."""
    periodic = FLOWS[name].get("periodic")
    for base in BASES if not periodic else ["uniform"]:
        flow = make(name, base=base, context_dim=2)
        assert re.search(rf"base +{base}\b", str(flow))
        x, context = regression(20, seed=5)
        assert np.isfinite(flow.log_prob(x, context)).all()
    for base in BASES if periodic else ["uniform"]:
        with pytest.raises(ValueError, match=f"the base is {base}, but the layers"):
            make(name, base=base)
    with pytest.raises(ValueError, match="base must be one of"):
        make(name, base="cauchy")


def test_bases_of_their_own():
    with pytest.raises(ValueError, match="with components the base of a maf is a MADE"):
        diffeo.maf(2, components=3, base="student_t")
    assert "base  made" in str(diffeo.maf(2, components=3))


def test_one_width():
    assert str(diffeo.maf(2, hidden=16)) == str(diffeo.maf(2, hidden=(16,)))
    made = [diffeo.Spec(2).add_autoregressive(hidden).add_coupling(hidden) for hidden in (16, [16])]
    assert str(made[0].build()) == str(made[1].build())
