"""What has no formula comes to rest in the steps that it is given."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diffeo.exchange import _formulas  # noqa: E402
from diffeo.exchange._layers import Transformer  # noqa: E402
from diffeo.exchange._nets import MATHS  # noqa: E402


def test_roots_of_planar_layers():
    """Those of a + c tanh(a) = s for c > -1, also where the slope at 0 is nearly 0."""
    sums = torch.tensor([1e-12, 1e-6, 1e-3, 0.1, 0.5, 0.9, 1.0, 1.5, 3.0, 10.0, 100.0], dtype=torch.float64)[:, None]
    a = torch.cat([torch.logspace(-8, 2, 400), torch.linspace(0.5, 3, 100)]).double()
    c = sums - 1
    target = a + c * torch.tanh(a)
    found = _formulas._planar_root(MATHS, target, c, sums)
    np.testing.assert_allclose(found + c * torch.tanh(found), target, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("target", ["logistic", "uniform"])
@pytest.mark.parametrize("family", ["normal", "logistic"])
@pytest.mark.parametrize("scale", [{}, {"scale": "softplus", "scale_epsilon": 0.01}], ids=["clipped", "softplus"])
def test_roots_of_mixtures(scale, family, target):
    """Of components that are as narrow and as far apart as random numbers make them, by the slope there."""
    said = {"transformer": "mixture_cdf", "components": 4, "family": family, "target": target, "scale_bound": 7.0}
    said |= scale
    made = Transformer(said, (0.0,) * 12)
    generator = torch.Generator().manual_seed(0)
    p = 3 * torch.randn((2000, 12), generator=generator, dtype=torch.float64)
    p[:, 8:] *= 2
    y = torch.randn(2000, generator=generator, dtype=torch.float64) * 4
    y = torch.sigmoid(y) if target == "uniform" else y
    x, log_slope = _formulas.element_map(MATHS, made, p, y, True)
    again, forward = _formulas.element_map(MATHS, made, p, x, False)
    np.testing.assert_allclose(forward, -log_slope, rtol=1e-12, atol=1e-12)
    # x itself is rounded
    allowed = 1e-12 * (1 + y.abs()) + 4 * 2.0**-52 * x.abs() * forward.exp()
    assert ((again - y).abs() <= allowed).all()


def test_sinh_arcsinh_far_out():
    """In float32, where the square of x overflows, and where all of it does."""
    x = torch.cat([-torch.logspace(-6, 37, 200), torch.logspace(-6, 37, 200)])
    np.testing.assert_allclose(_formulas.arsinh(MATHS, x), np.arcsinh(x.double()), rtol=1e-6)
    made = Transformer({"transformer": "sinh_arcsinh", "scale_bound": 3.0}, (0.0, 0.0))
    p = torch.zeros((400, 2))
    y, log_slope = _formulas.element_map(MATHS, made, p, x, False)
    np.testing.assert_allclose(y, x, rtol=3e-5)
    np.testing.assert_allclose(log_slope, 0.0, atol=3e-5)
    beyond = torch.tensor([-np.inf, -1000.0, 1000.0, np.inf])
    np.testing.assert_array_equal(_formulas.sinh(MATHS, beyond), [-np.inf, -np.inf, np.inf, np.inf])
    np.testing.assert_array_equal(_formulas.arsinh(MATHS, beyond[[0, 3]]), [-np.inf, np.inf])


def test_probits():
    x = torch.cat([-torch.logspace(-6, 2.5, 300), torch.logspace(-6, 2.5, 300)]).double()
    z, log_slope = _formulas.domain(MATHS, "logistic_to_normal", {}, x, False)
    again, back = _formulas.domain(MATHS, "logistic_to_normal", {}, z, True)
    np.testing.assert_allclose(again, x, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(back, -log_slope, rtol=1e-11, atol=1e-11)


def test_gradients_go_through_roots():
    """By the theorem of implicit functions: those of x = F^-1(y; p) in y and in p."""
    said = {"transformer": "mixture_cdf", "components": 2, "family": "normal", "target": "logistic", "scale_bound": 7.0}
    made = Transformer(said, (0.0,) * 6)
    p = torch.tensor([0.1, -0.3, 0.5, -1.0, 0.2, -0.4], dtype=torch.float64, requires_grad=True)
    y = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, y: _formulas.element_map(MATHS, made, p, y, True), (p, y))
    x = torch.tensor([0.3, -0.7], dtype=torch.float64, requires_grad=True)
    u, w = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([0.5, -1.0], [1.0, 0.4]))
    b = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *v: _formulas.planar(MATHS, *v, True), (u, w, b, x))
    assert torch.autograd.gradcheck(lambda x: _formulas.domain(MATHS, "logistic_to_normal", {}, x, False), (x,))
