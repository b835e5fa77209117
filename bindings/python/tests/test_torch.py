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
    with pytest.raises(ShapeError, match="context of 2 columns, none was given"):
        diffeo.torch.distribution(flow)


def test_expanded_without_context_is_independent_draws():
    class Subclass(diffeo.torch.Distribution):
        pass

    flow = module("maf", 0, "float32")
    many = Subclass(flow).expand((4,)).expand((2, 4))
    assert type(many) is Subclass
    assert many.batch_shape == (2, 4)
    x = many.rsample((3,))
    assert x.shape == (3, 2, 4, 3)
    assert torch.unique(x[..., 0]).numel() == 24
    assert torch.equal(many.log_prob(x), flow.log_prob(x))
    assert torch.equal(many.log_prob(x[0, 0, 0]), flow.log_prob(x[0, 0, 0]).expand(2, 4))


@pytest.mark.parametrize("context_dim", [0, 2])
def test_transform_with_a_base_of_pytorch_is_the_flow(context_dim):
    flow = module("maf", context_dim)
    context = torch.randn(4, 2, dtype=torch.float64) if context_dim else None
    transform = diffeo.torch.Transform(flow, context, cache_size=1)
    noise = torch.distributions.MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    d = torch.distributions.TransformedDistribution(noise, [transform.inv])
    assert d.batch_shape == ((4,) if context_dim else ())
    x = d.rsample((5,))
    of_flow = diffeo.torch.distribution(flow, context)
    assert d.log_prob(x).detach().numpy() == pytest.approx(of_flow.log_prob(x).detach().numpy(), rel=1e-9)
    # With the rows remembered and without, in both directions, the same gradients come.
    gradients = []
    for cache_size in 0, 1:
        to_noise = transform.with_cache(cache_size)
        for map in to_noise, to_noise.inv:
            flow.weights.grad = None
            start = x.detach().requires_grad_()
            end = map(start)
            log_det = map.log_abs_det_jacobian(start, end)
            (end.sum() + (log_det**2).sum()).backward()
            gradients.append((start.grad, flow.weights.grad))
    for found, expected in zip(gradients[2:], gradients[:2], strict=True):
        for a, b in zip(found, expected, strict=True):
            assert b.abs().sum() > 0
            assert a.numpy() == pytest.approx(b.numpy(), rel=1e-6, abs=1e-9)


def test_transform_remembers_the_rows_it_mapped():
    flow = module("maf", 0)
    calls, x = [], torch.randn(4, 3, dtype=torch.float64)
    to_noise = flow.to_noise
    flow.to_noise = lambda *rows: calls.append(1) or to_noise(*rows)
    for cache_size, count in ((0, 2), (1, 1)):
        calls.clear()
        transform = diffeo.torch.Transform(flow, cache_size=cache_size)
        assert torch.equal(transform.log_abs_det_jacobian(x, transform(x)), to_noise(x)[1])
        assert len(calls) == count
    other = torch.randn(4, 3, dtype=torch.float64)
    assert torch.equal(transform.log_abs_det_jacobian(other, to_noise(other)[0]), to_noise(other)[1])
    with pytest.raises(ShapeError, match="context of 0 columns, one was given"):
        diffeo.torch.Transform(flow, x)


def test_reset_and_copies_of_subclasses():
    class Named(diffeo.torch.Flow):
        def __init__(self, name):
            super().__init__(MAKERS["maf"](seed=4))
            self.name = name

    flow = Named("a")
    start = flow.weights.detach().clone()
    with torch.no_grad():
        flow.weights += 0.1
    flow.eval()
    other = copy.deepcopy(flow)
    assert (type(other), other.name, other.training) == (Named, "a", False)
    assert torch.equal(other.weights, flow.weights)
    assert other.weights is not flow.weights
    optimized = flow.weights
    flow.reset_parameters()
    assert flow.weights is optimized
    assert torch.equal(flow.weights, start)
    assert not torch.equal(other.weights, start)
    other.reset_parameters()
    assert torch.equal(other.weights, start)


def test_images():
    """Events of three axes, as every part of PyTorch sees them."""
    made = diffeo.glow_image((2, 2, 2), levels=1, steps=1, hidden=(4,), activation="tanh", quantization=0,
                             context_dim=2, dtype="float64")  # fmt: skip
    flow = diffeo.torch.Flow(made)
    with torch.no_grad():
        flow.weights += 0.2 * torch.randn(flow.weights.shape, dtype=torch.float64)
    x = torch.randn(3, 1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    context = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert flow.shape == (2, 2, 2)
    assert flow.log_prob(x, context).shape == (3, 4)
    z, log_det = flow.to_noise(x, context)
    assert z.shape == (3, 4, 2, 2, 2)
    assert log_det.shape == (3, 4)
    torch.testing.assert_close(flow.from_noise(z, context)[0], x.expand(3, 4, 2, 2, 2))
    assert gradcheck(lambda x, context: flow.log_prob(x, context), (x, context))
    assert gradcheck(lambda x, context: flow.to_noise(x, context), (x, context))
    assert gradcheck(lambda context: flow.rsample_and_log_prob(4, context, seed=1), (context,))
    of_contexts = diffeo.torch.distribution(flow, context)
    assert of_contexts.event_shape == (2, 2, 2)
    assert of_contexts.batch_shape == (4,)
    assert of_contexts.support.event_dim == 3
    samples = of_contexts.rsample((5,))
    assert samples.shape == (5, 4, 2, 2, 2)
    assert of_contexts.log_prob(samples).shape == (5, 4)
    assert of_contexts.expand((3, 4)).sample().shape == (3, 4, 2, 2, 2)
    base = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2, 2, 2, dtype=torch.float64), 1), 3)
    to_data = diffeo.torch.Transform(flow, context, cache_size=1).inv
    transformed = torch.distributions.TransformedDistribution(base, [to_data])
    assert transformed.event_shape == (2, 2, 2)
    assert transformed.batch_shape == (4,)
    samples = transformed.rsample((5,))
    torch.testing.assert_close(transformed.log_prob(samples), flow.log_prob(samples, context))
    with pytest.raises(ShapeError, match=r"x has shape \(3, 2, 2, 4\), this flow has shape \(2, 2, 2\)"):
        flow.log_prob(torch.zeros(3, 2, 2, 4))
