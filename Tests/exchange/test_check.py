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
    theirs = nflows_maf(lambda transforms: [], 20000)
    diffeo.convert(theirs, dtype="float64")
    with pytest.raises(ConversionError, match="dtype='float64'"):
        diffeo.convert(theirs)


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
