"""Vector-Jacobian products, from Python: shapes, what may be left out, and agreement with finite differences."""

import diffeo
import numpy as np
import pytest
from diffeo.errors import InvalidArgumentError, ShapeError, UnsupportedError

FLOWS = {
    "maf": lambda **o: diffeo.maf(3, hidden=(8, 8), **o),
    "glow": lambda **o: diffeo.glow(3, hidden=(8,), transforms=2, **o),
    "student": lambda **o: diffeo.iaf(3, hidden=(8,), transforms=2, base="student_t", **o),
}


@pytest.fixture(params=[0, 2], ids=["plain", "conditional"])
def given(request, rng):
    dim = request.param
    return {"context_dim": dim}, (rng.normal(size=(7, dim)) if dim else None)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def slope(function, flow, direction, h=1e-6):
    up, down = (flow.with_parameters(flow.parameters() + s * h * direction) for s in (1, -1))
    return (function(up) - function(down)) / (2 * h)


@pytest.mark.parametrize("name", FLOWS)
def test_all_four_against_differences(name, given, rng):
    options, context = given
    flow = FLOWS[name](dtype="float64", seed=2, **options)
    x, g, w = rng.normal(size=(7, 3)), rng.normal(size=(7, 3)), rng.normal(size=7)
    direction = np.where(
        flow.log_prob_vjp(x, context, g_log_prob=1.0).parameters != 0, rng.normal(size=flow.parameter_count), 0
    )
    cases = {
        "log_prob": (flow.log_prob_vjp(x, context, g_log_prob=w), lambda f, x, c: (w * f.log_prob(x, c)).sum()),
        "to_noise": (
            flow.to_noise_vjp(x, context, g_z=g, g_log_det=w),
            lambda f, x, c: (g * f.to_noise(x, c)[0]).sum() + (w * f.to_noise(x, c)[1]).sum(),
        ),
        "from_noise": (
            flow.from_noise_vjp(x, context, g_x=g, g_log_det=w),
            lambda f, x, c: (g * f.from_noise(x, c)[0]).sum() + (w * f.from_noise(x, c)[1]).sum(),
        ),
        "sample": (
            flow.sample_vjp(7, context, seed=4, first_row=9, g_x=g, g_log_prob=w),
            lambda f, x, c: sum(
                (a * b).sum() for a, b in zip((g, w), f.sample_and_log_prob(7, c, seed=4, first_row=9), strict=True)
            ),
        ),
    }
    h = 1e-6
    for what, (gradients, loss) in cases.items():
        expected = slope(lambda f, loss=loss: loss(f, x, context), flow, direction)
        assert gradients.parameters @ direction == pytest.approx(expected, rel=2e-5, abs=1e-6), what
        along = rng.normal(size=x.shape)
        if what == "sample":
            assert gradients.rows is None
        else:
            expected = (loss(flow, x + h * along, context) - loss(flow, x - h * along, context)) / (2 * h)
            assert (gradients.rows * along).sum() == pytest.approx(expected, rel=2e-5, abs=1e-6), what
        if context is None:
            assert gradients.context is None
        else:
            along = rng.normal(size=context.shape)
            expected = (loss(flow, x, context + h * along) - loss(flow, x, context - h * along)) / (2 * h)
            assert (gradients.context * along).sum() == pytest.approx(expected, rel=2e-5, abs=1e-6), what


def test_what_is_wanted():
    flow = diffeo.maf(2, hidden=(8,))
    x = np.zeros((5, 2), np.float32)
    only = flow.log_prob_vjp(x, g_log_prob=np.ones(5), of=["parameters"])
    assert only.rows is None
    assert only.context is None
    assert only.parameters.dtype == np.float32
    assert flow.log_prob_vjp(x, g_log_prob=1.0, of=["rows"]).rows == pytest.approx(flow.grad_log_prob(x))
    none = flow.to_noise_vjp(x)
    assert not none.parameters.any()
    assert not none.rows.any()
    with pytest.raises(InvalidArgumentError, match="'weights'"):
        flow.log_prob_vjp(x, g_log_prob=1.0, of=["weights"])
    with pytest.raises(ShapeError, match=r"g_log_prob has shape \(4,\), expected \(5,\)"):
        flow.log_prob_vjp(x, g_log_prob=np.ones(4))
    with pytest.raises(ShapeError, match="g_z"):
        flow.to_noise_vjp(x, g_z=np.ones((5, 3)))


def test_a_single_row():
    flow = diffeo.maf(2, hidden=(8,), dtype="float64")
    one = flow.log_prob_vjp([0.3, 0.4], g_log_prob=2.0)
    assert one.rows.shape == (1, 2)
    assert one.rows[0] == pytest.approx(2 * flow.grad_log_prob([0.3, 0.4]))
    assert flow.to_noise_vjp([0.3, 0.4], g_z=[1.0, 2.0]).rows.shape == (1, 2)


def test_masks_of_a_made_count_together():
    flow = diffeo.made(3, masks=4, hidden=(9, 7), dtype="float64", seed=3)
    x, rng = np.random.default_rng(1).normal(size=(20, 3)), np.random.default_rng(2)
    gradient = flow.log_prob_vjp(x, g_log_prob=1.0).parameters
    direction = np.where(gradient != 0, rng.normal(size=len(gradient)), 0)
    assert gradient @ direction == pytest.approx(slope(lambda f: f.log_prob(x).sum(), flow, direction), rel=1e-6)
    with pytest.raises(UnsupportedError, match="4"):
        flow.sample_vjp(5, seed=1, g_log_prob=1.0)


def test_a_step_of_training_is_the_gradient(rng):
    """Plain gradient descent by hand: the likelihood rises."""
    flow = diffeo.realnvp(2, hidden=(16,), dtype="float64")
    x = rng.normal(size=(256, 2)) @ [[1.0, 0.8], [0.0, 0.4]]
    before = flow.log_prob(x).mean()
    for _ in range(20):
        gradient = flow.log_prob_vjp(x, g_log_prob=1 / len(x), of=["parameters"]).parameters
        flow = flow.with_parameters(flow.parameters() + 0.02 * gradient)
    assert flow.log_prob(x).mean() > before + 0.05


def test_implicit_gradients_are_right_in_the_mean():
    """d/d(parameters) of E[x^2] of a mixture, from samples, against differences of the moments."""
    spec = diffeo.Spec(1, dtype="float64")
    spec.set_base("mixture", components=3)
    flow = spec.build(seed=5)
    p = flow.parameters()  # logits, means, log-scales
    n = 400_000
    x = flow.sample(n, seed=1)
    got = flow.sample_vjp(n, seed=1, g_x=2 * x / n).parameters

    def moment(p):
        w = np.exp(p[:3]) / np.exp(p[:3]).sum()
        return (w * (p[3:6] ** 2 + np.exp(2 * p[6:]))).sum()

    h = 1e-6
    want = np.array([(moment(p + h * e) - moment(p - h * e)) / (2 * h) for e in np.eye(len(p))])
    assert got == pytest.approx(want, abs=0.02)
