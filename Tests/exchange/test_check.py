"""What the check of both sides sees: data far from the origin, and flows that magnify rounding."""

import diffeo
import numpy as np
import pytest
from diffeo.exchange import ConversionError

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def _float32():
    torch.set_default_dtype(torch.float32)


def nflows_maf(kind, mean):
    distributions = pytest.importorskip("nflows.distributions")
    flows, transforms = pytest.importorskip("nflows.flows"), pytest.importorskip("nflows.transforms")
    torch.manual_seed(0)
    centre = transforms.PointwiseAffineTransform(torch.full((3,), -float(mean)), torch.ones(3))
    chain = transforms.CompositeTransform([*kind(transforms), centre])
    return flows.Flow(chain, distributions.StandardNormal([3]))


def test_a_part_that_differs_where_the_data_are():
    def kind(transforms):
        class Other(transforms.MaskedAffineAutoregressiveTransform):
            def forward(self, x, context=None):
                z, log_det = super().forward(x, context)
                return torch.where(x.abs() > 50, z * 1.001, z), log_det

        return [Other(3, 16)]

    with pytest.raises(ConversionError, match="Other"):
        diffeo.convert(nflows_maf(kind, 200))


def test_data_with_too_many_digits_for_float32():
    """The library loses as much of them: the report says so."""
    report = diffeo.exchange.report(diffeo.convert(nflows_maf(lambda transforms: [], 20000)))
    assert report.float32 > 1e-4
    assert report.float32 <= 4 * report.source_float32


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_columns_of_their_own_units(dtype):
    """A flow whose columns have deviations of 0.01 and 100: no rows are 100 deviations out."""
    flows, transforms = pytest.importorskip("nflows.flows"), pytest.importorskip("nflows.transforms")
    base = pytest.importorskip("nflows.distributions").StandardNormal([3])
    torch.manual_seed(0)
    parts = [transforms.PointwiseAffineTransform(torch.tensor([-300.0, 0.0, 2.0]), torch.tensor([100.0, 0.01, 1.0]))]
    for _ in range(3):
        made = transforms.MaskedAffineAutoregressiveTransform(3, 32)
        parts += [made, transforms.ReversePermutation(3)]
    theirs = flows.Flow(transforms.CompositeTransform(parts), base)
    flow = diffeo.convert(theirs, dtype=dtype)
    report = diffeo.exchange.report(flow)
    assert report.rows + report.left_out == (64 if dtype == "float64" else 320)
    assert report.float64 < 1e-10
    assert "to 0.001" in report.notes[0]
    x = flow.sample(200, seed=4)
    with torch.no_grad():
        expected = theirs.double().eval().log_prob(torch.from_numpy(x).double()).numpy()
    bound = 1e-9 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(flow.log_prob(x), expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("event", [True, False])
def test_unit_box(event):
    """Rows beyond the box are left out: torch holds them to its ends, Diffeo has no density there."""
    d = torch.distributions
    base = d.Normal(torch.zeros(3), torch.ones(3))
    affine = d.AffineTransform(torch.tensor([1.0, 0.0, -2.0]), torch.tensor([0.5, 3.0, 1.0]), event_dim=int(event))
    theirs = d.TransformedDistribution(d.Independent(base, 1) if event else base, [affine, d.SigmoidTransform()])
    flow = diffeo.convert(theirs)
    report = diffeo.exchange.report(flow)
    assert report.left_out > 0
    assert report.source_float32 is not None
    assert "left out" in str(report)
    x = flow.sample(100, seed=1)
    expected = theirs.log_prob(torch.from_numpy(x)).reshape(100, -1).sum(1).numpy()
    np.testing.assert_allclose(flow.log_prob(x), expected, rtol=1e-3, atol=1e-3)


def test_contexts_of_their_own_units():
    """Where the context is standardised, the networks are compared on contexts that differ after it."""
    flows = pytest.importorskip("nflows.flows")
    transforms = pytest.importorskip("nflows.transforms")

    class Standardize(torch.nn.Module):
        def forward(self, c):
            return (c - 5e6) / 10.0

    class Other(transforms.MaskedAffineAutoregressiveTransform):
        def forward(self, x, context=None):
            z, log_det = super().forward(x, context)
            return torch.where(context[:, :1] > 0, z * 1.001, z), log_det

    base = pytest.importorskip("nflows.distributions").StandardNormal([2])
    for kind in (transforms.MaskedAffineAutoregressiveTransform, Other):
        theirs = flows.Flow(kind(2, 8, context_features=1), base, embedding_net=Standardize())
        if kind is Other:
            with pytest.raises(ConversionError, match="Other"):
                diffeo.convert(theirs, dtype="float64")
        else:
            diffeo.convert(theirs, dtype="float64")


@pytest.mark.parametrize("seed", range(6))
def test_untrained_batch_norm(seed):
    """Its variances are 0, so that noise of rows that are no samples is beyond 1e15."""
    flows = pytest.importorskip("nflows.flows")
    torch.manual_seed(seed)
    theirs = flows.MaskedAutoregressiveFlow(4, 16, 3, 2, batch_norm_between_layers=True)
    flow = diffeo.convert(theirs, dtype="float64")
    x = flow.sample(50, seed=1)
    with torch.no_grad():
        expected = theirs.double().eval().log_prob(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(flow.log_prob(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("factor", [8, 30])
def test_steep_flows(factor):
    zuko = pytest.importorskip("zuko")
    torch.manual_seed(1)
    theirs = zuko.flows.MAF(4, transforms=3, hidden_features=(16, 16))
    for parameter in theirs.parameters():
        parameter.data.mul_(factor)
    flow = diffeo.convert(theirs, dtype="float64")
    x = np.random.default_rng(0).normal(size=(50, 4))
    with torch.no_grad():
        expected = theirs.double()().log_prob(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(flow.log_prob(x), expected, rtol=1e-6)
