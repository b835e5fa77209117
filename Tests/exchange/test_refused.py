"""Flows of pzflow, flowMC and harmonic that do not convert, with the part at fault and what to do."""

import diffeo
import numpy as np
import pytest
from diffeo.exchange import ConversionError


def refused(theirs, path, reason):
    with pytest.raises(ConversionError, match=reason) as error:
        diffeo.convert(theirs)
    assert error.value.path == path


@pytest.mark.parametrize("kind", ["UniformDequantizer", "Beta13Dequantizer"])
def test_noise_in_pzflow(kind):
    pzflow = pytest.importorskip("pzflow")
    from pzflow import bijectors as b

    theirs = pzflow.Flow("abc", b.Chain(b.Reverse(), getattr(b, kind)([1])))
    refused(theirs, "bijector[1]", "it adds noise of a fixed seed: hand over the flow without it")


def test_bases_of_pzflow():
    pzflow = pytest.importorskip("pzflow")
    from pzflow import bijectors as b
    from pzflow import distributions as d

    refused(pzflow.Flow("abc", b.Reverse(), latent=d.Tdist(3)), "latent", "no base distribution as its Tdist")
    joint = d.Joint(d.Normal(1), d.Uniform(2))
    refused(pzflow.Flow("abc", b.Reverse(), latent=joint), "latent", "no base distribution as its Joint")
    refused(pzflow.Flow("abc"), "", "it has no bijector yet")


def test_covariance_of_flowmc():
    pytest.importorskip("flowMC")
    import jax
    import jax.numpy as jnp
    from flowMC.resource.model.common import Gaussian
    from flowMC.resource.model.nf_model.realNVP import RealNVP

    base = Gaussian(jnp.zeros(2), jnp.array([[1.0, 0.5], [0.5, 1.0]]))
    refused(RealNVP(2, 2, 4, jax.random.PRNGKey(0), base_dist=base), "base_dist", "its covariance is not diagonal")


def test_harmonic_before_it_is_fitted():
    model = pytest.importorskip("harmonic.model")
    refused(model.RQSplineModel(2), "", "it is not fitted")


def test_columns_that_pzflow_shuffles():
    """The order is of a seed that is not kept: it is read from the function."""
    pzflow = pytest.importorskip("pzflow")
    from pzflow import bijectors as b
    from pzflow import distributions as d

    x, orders = np.arange(6.0)[None], set()
    for seed in range(4):
        theirs = pzflow.Flow("abcdef", b.Shuffle(), latent=d.Normal(6), seed=seed)
        order, _ = theirs._forward((), x)
        found, _ = diffeo.convert(theirs, dtype="float64").to_noise(x)
        np.testing.assert_array_equal(found, np.asarray(order))
        orders.add(tuple(found[0]))
    assert len(orders) > 1
