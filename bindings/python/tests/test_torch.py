"""Flows inside PyTorch: gradients against PyTorch's own differences, optimizers, distributions."""

import copy
import io

import diffeo
import numpy as np
import pytest
from diffeo.errors import DtypeError, ShapeError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import diffeo.torch  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402

MAKERS = {
    "maf": lambda **o: diffeo.maf(3, transforms=2, hidden=(7,), activation="tanh", **o),
    "glow": lambda **o: diffeo.glow(3, transforms=2, hidden=(7,), activation="tanh", **o),
    "student": lambda **o: diffeo.realnvp(3, transforms=2, hidden=(7,), activation="tanh", base="student_t", **o),
}


def module(name, context_dim, dtype="float64"):
    flow = MAKERS[name](context_dim=context_dim, dtype=dtype, seed=2)
    rng = np.random.default_rng(1)
    moved = flow.parameters() + np.where(flow.trained_parameters(), 0.1 * rng.normal(size=flow.parameter_count), 0)
    return diffeo.torch.Flow(flow.with_parameters(moved))


@pytest.mark.parametrize("context_dim", [0, 2])
@pytest.mark.parametrize("name", MAKERS)
def test_gradients(name, context_dim):
    flow = module(name, context_dim)
    torch.manual_seed(0)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    context = torch.randn(5, 2, dtype=torch.float64, requires_grad=True) if context_dim else None
    start = flow.weights.detach().clone().requires_grad_()

    def with_weights(function):
        def call(x, weights, *context):
            flow._parameters.pop("weights", None)  # in its place is what is differentiated
            flow.weights = weights
            return function(x, *context)

        return call

    given = () if context is None else (context,)
    for function in (flow.log_prob, flow.to_noise, flow.from_noise):
        assert gradcheck(with_weights(function), (x, start, *given), atol=1e-5, fast_mode=True)
    assert gradcheck(
        with_weights(lambda x, *c: flow.rsample_and_log_prob(5, *c, seed=3)),
        (x, start, *given),
        atol=1e-5,
        fast_mode=True,
    )


def test_training_beats_where_it_began_and_hidden_weights_stay():
    flow = diffeo.torch.Flow(diffeo.maf(2, transforms=3, hidden=(16, 16), seed=1))
    torch.manual_seed(1)
    x = torch.randn(512, 2) @ torch.tensor([[1.0, 0.9], [0.0, 0.3]])
    optimizer = torch.optim.AdamW(flow.parameters(), lr=5e-3, weight_decay=0.1)
    before = flow.log_prob(x).mean().item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = -flow.log_prob(x).mean()
        loss.backward()
        optimizer.step()
    assert flow.log_prob(x).mean().item() > before + 0.5
    now, trained = flow.flow().parameters(), flow.flow().trained_parameters()
    hidden = ~trained
    assert np.array_equal(now[hidden], diffeo.maf(2, transforms=3, hidden=(16, 16), seed=1).parameters()[hidden])
    assert trained.sum() == flow.weights.numel() < len(now)
    assert [name for name, _ in flow.named_parameters()] == ["weights"]
    assert {name for name, _ in flow.named_buffers()} == {"constants", "trained"}


def test_reverse_kl_by_hand():
    flow = diffeo.torch.Flow(diffeo.realnvp(2, transforms=2, hidden=(16,), seed=1))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    torch.manual_seed(2)
    for _ in range(150):
        optimizer.zero_grad()
        x, log_q = flow.rsample_and_log_prob(256)
        loss = (log_q + 0.5 * ((x - 2.0) ** 2).sum(1)).mean()
        loss.backward()
        optimizer.step()
    assert flow.sample(5000, seed=1).mean(0).numpy() == pytest.approx([2.0, 2.0], abs=0.15)


def test_state_copies_and_shapes():
    flow = module("maf", 2, "float32")
    x, c = torch.randn(4, 6, 3), torch.randn(6, 2)
    log_prob = flow.log_prob(x, c)
    assert log_prob.shape == (4, 6)
    expected = flow.flow().log_prob(x.reshape(-1, 3).numpy(), c.expand(4, 6, 2).reshape(-1, 2).numpy())
    assert np.array_equal(log_prob.detach().numpy().ravel(), expected)
    for other in (copy.deepcopy(flow), _pickled(flow)):
        assert torch.equal(other.log_prob(x, c), log_prob)
    fresh = diffeo.torch.Flow(MAKERS["maf"](context_dim=2, dtype="float32", seed=9))
    fresh.load_state_dict(flow.state_dict())
    assert torch.equal(fresh.log_prob(x, c), log_prob)
    with pytest.raises(ShapeError, match="dim 3"):
        flow.log_prob(torch.randn(4, 2), c)
    with pytest.raises(ShapeError, match="context of 2"):
        flow.log_prob(x)
    with pytest.raises(ShapeError, match="context_dim 2"):
        flow.log_prob(x, torch.randn(6, 3))
    with pytest.raises(DtypeError, match="floating"):
        flow.log_prob(torch.zeros(4, 3, dtype=torch.int64), torch.zeros(2))
    torch.manual_seed(5)
    a = flow.sample(3, c[0])
    torch.manual_seed(5)
    assert torch.equal(flow.sample(3, c[0]), a)
    assert not a.requires_grad


def _pickled(flow):
    file = io.BytesIO()
    torch.save(flow, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def test_distributions():
    flow = module("glow", 2, "float32")
    context = torch.randn(4, 2, requires_grad=True)
    d = diffeo.torch.distribution(flow, context)
    assert d.batch_shape == (4,)
    assert d.event_shape == (3,)
    assert d.has_rsample
    x = d.rsample((7,))
    assert x.shape == (7, 4, 3)
    assert d.log_prob(x).shape == (7, 4)
    x.sum().backward()
    assert context.grad.abs().sum() > 0
    assert flow.weights.grad.abs().sum() > 0
    assert d.sample().shape == (4, 3)
    assert not d.sample().requires_grad
    assert d.expand((2, 4)).sample().shape == (2, 4, 3)
    plain = diffeo.torch.distribution(module("maf", 0, "float32"))
    assert plain.sample((5,)).shape == (5, 3)
    assert plain.batch_shape == ()
    independent = torch.distributions.TransformedDistribution(plain, [torch.distributions.transforms.ExpTransform()])
    assert independent.log_prob(independent.rsample((3,))).shape == (3,)
    with pytest.raises(ShapeError):
        diffeo.torch.distribution(flow)
