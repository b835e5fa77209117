"""Algorithm 1 of Kingma et al. 2016 ("Improved variational inference with inverse autoregressive flow") in NumPy, from the
weight file alone, against the samples of a flow and their log-densities."""

import h5py
import numpy as np

import diffeo

DIM, CONTEXT = 4, 3


def amortised_iaf():
    spec = diffeo.Spec(DIM, CONTEXT, "float64")
    for i in range(3):
        order = ["natural", "reversed"][i % 2]
        spec.add_autoregressive((10, 7), activation="elu", scale="gated", order=order).invert()
    flow = spec.set_base("normal", hidden=(6,), activation="elu").build(seed=3)
    theta = flow.parameters()
    return flow.with_parameters(theta + np.random.default_rng(2).normal(0, 0.4, theta.size))


def network(group, inputs, masks=None):
    """Dense layers with ELU between them."""
    count = len(group)
    for i in range(count):
        weight = group[f"{i}/weight"][:] * (1 if masks is None else masks[i])
        inputs = inputs @ weight.T + group[f"{i}/bias"][:]
        if i < count - 1:
            inputs = np.where(inputs > 0, inputs, np.expm1(np.minimum(inputs, 0)))
    return inputs


def made(layer, z, h):
    """m and s of every column from the columns before it in the order, and the context."""
    degrees = [np.zeros(DIM + CONTEXT, int)]
    degrees[0][layer["order"][:]] = 1 + np.arange(DIM)
    degrees += [layer[f"degrees_{i}"][:] for i in range(len(layer["hidden"]))]
    degrees.append(np.repeat(degrees[0][:DIM], 2))
    masks = [after[:, None] >= before for before, after in zip(degrees, degrees[1:], strict=False)]
    masks[-1] = degrees[-1][:, None] > degrees[-2]
    s, m = network(layer["network"], np.hstack([z, h]), masks).reshape(len(z), DIM, 2).transpose(2, 0, 1)
    return m, s


def test_the_sample_and_its_log_q(tmp_path):
    flow = amortised_iaf()
    flow.save(tmp_path / "iaf.h5")
    h = np.random.default_rng(5).normal(size=(50, CONTEXT))
    sample, log_q = flow.sample_and_log_prob(50, h, seed=9)
    noise, _ = flow.to_noise(sample, h)
    with h5py.File(tmp_path / "iaf.h5") as file:
        mu, log_sigma = np.split(network(file["base/network"], h), 2, axis=1)
        epsilon = (noise - mu) / np.exp(log_sigma)
        z = mu + np.exp(log_sigma) * epsilon
        log = -(log_sigma + epsilon**2 / 2 + np.log(2 * np.pi) / 2).sum(axis=1)
        for name in sorted(file["layers"], reverse=True):
            m, s = made(file["layers"][name], z, h)
            sigma = 1 / (1 + np.exp(-s - 2))
            z = sigma * z + (1 - sigma) * m
            log -= np.log(sigma).sum(axis=1)
    np.testing.assert_allclose(z, sample, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(log, log_q, rtol=1e-10)
    np.testing.assert_allclose(log, flow.log_prob(sample, h), rtol=1e-10)
    # The scales lie between 0 and 1 and differ.
    assert 0 < sigma.min() < sigma.max() < 1
