"""State dicts in the layout of glow-pytorch, of a module with its names, shapes and formulas (glow_module.py).

Needs torch: make test-exchange.
"""

import diffeo
import numpy as np
import pytest
from diffeo.exchange import ConversionError, from_glow_pytorch

torch = pytest.importorskip("torch")

from glow_module import Glow, random_glow  # noqa: E402

KINDS = {"lu": {}, "matrix": {"lu": False}, "additive": {"affine": False}}


def density(model, x):
    with torch.no_grad():
        log_p, log_det, _ = model(torch.from_numpy(x))
        return (log_p + log_det).numpy()


@pytest.fixture
def x():
    return np.random.default_rng(1).uniform(-0.5, 0.5, (20, 2, 8, 12))


@pytest.mark.parametrize("kind", KINDS)
def test_density(kind, x):
    model = random_glow(**KINDS[kind])
    flow = from_glow_pytorch(model, 8, 12)
    assert flow.shape == (2, 8, 12)
    np.testing.assert_allclose(flow.log_prob(x), density(model, x), rtol=1e-10, atol=1e-10)
    samples, log_prob = flow.sample_and_log_prob(20, seed=2)
    np.testing.assert_allclose(log_prob, density(model, samples), rtol=1e-7, atol=1e-7)


def test_state_dict_of_a_wrapped_module(x):
    model = random_glow()
    wrapped = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    flow = from_glow_pytorch(wrapped, 8, 12)
    assert flow.dtype == np.float64
    np.testing.assert_allclose(flow.log_prob(x), density(model, x), rtol=1e-10, atol=1e-10)


def test_counts(x):
    """Five bits: what the module takes are counts / 32 - 0.5."""
    model, counts = random_glow(), np.floor(32 * (x + 0.5))
    flow = from_glow_pytorch(model, 8, 12, quantization=32)
    expected = density(model, counts / 32 - 0.5) - flow.dim * np.log(32)
    np.testing.assert_allclose(flow.log_prob(counts), expected, rtol=1e-10)
    assert flow.bits_per_dim(counts).shape == (20,)


def test_dtype_is_that_of_the_weights(x):
    model = random_glow().float()
    assert from_glow_pytorch(model, 8, 12).dtype == np.float32
    assert from_glow_pytorch(model, 8, 12, dtype="float64").dtype == np.float64


def test_what_is_refused():
    model = random_glow()
    state = model.state_dict()
    with pytest.raises(ConversionError, match=r"blocks.1 .*a height and a width that 2\^2 divides"):
        from_glow_pytorch(state, 8, 10)
    with pytest.raises(ConversionError, match=r"blocks\.1\.prior\.conv\.bias .*no such tensor"):
        from_glow_pytorch({name: t for name, t in state.items() if name != "blocks.1.prior.conv.bias"}, 8, 12)
    with pytest.raises(ConversionError, match="not those of glow-pytorch"):
        from_glow_pytorch(torch.nn.Linear(2, 3).state_dict(), 8, 12)
    with pytest.raises(ValueError, match="quantization is 1; it must be 0, or from 2"):
        from_glow_pytorch(state, 8, 12, quantization=1)
    model.blocks[0].flows[0].actnorm.initialized.fill_(0)
    with pytest.raises(ConversionError, match="has not seen data"):
        from_glow_pytorch(model, 8, 12)


def test_a_module_that_computes_something_else_is_refused(monkeypatch):
    model = random_glow()
    forward = Glow.forward
    monkeypatch.setattr(Glow, "forward", lambda self, x: forward(self, 1.01 * x))
    with pytest.raises(ConversionError, match="differs"):
        from_glow_pytorch(model, 8, 12)
    assert isinstance(from_glow_pytorch(model.state_dict(), 8, 12), diffeo.Flow)
