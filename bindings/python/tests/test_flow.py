"""Densities, gradients, maps and samples."""

import threading
from concurrent.futures import ThreadPoolExecutor

import diffeo
import numpy as np
import pytest
from conftest import LENGTH, gradient_by_differences, regression, two_moons

MAKERS = {"maf": diffeo.maf, "iaf": diffeo.iaf, "realnvp": diffeo.realnvp}


def quick(maker="maf", **options):
    return MAKERS[maker](**{"dim": 3, "transforms": 2, "hidden": (16,)} | options)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("maker", MAKERS)
def test_facts(maker, dtype):
    flow = quick(maker, dim=4, context_dim=2, dtype=dtype)
    assert (flow.dim, flow.context_dim, flow.dtype) == (4, 2, np.dtype(dtype))
    assert flow.parameter_count == flow.parameters().size > 0
    assert flow.layer_count >= 2
    assert "dim=4" in repr(flow)
    assert "\n" not in repr(flow)
    assert "\n" in str(flow)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", [np.float32, np.float64, int, list])
def test_results_have_the_dtype_of_the_input(given, dtype):
    flow = quick(dtype=dtype)
    x = [[1, 2, 3], [4, 5, 6]] if given is list else np.array([[1, 2, 3], [4, 5, 6]], given)
    expected = np.dtype(given) if given in (np.float32, np.float64) else np.dtype(dtype)
    z, log_det = flow.to_noise(x)
    back, _ = flow.from_noise(z)
    for result in flow.log_prob(x), flow.grad_log_prob(x), z, log_det, back:
        assert result.dtype == expected
    assert flow.sample(3).dtype == np.dtype(dtype)


def test_rows_of_the_other_type_are_converted(trained, moons):
    x = moons[:100].astype(np.float32)
    np.testing.assert_array_equal(trained.log_prob(x), trained.log_prob(x.astype(np.float64)).astype(np.float32))


def test_shapes_of_results(trained, conditional):
    x = np.full((5, 2), 0.25)
    z, log_det = trained.to_noise(x)
    assert trained.log_prob(x).shape == log_det.shape == (5,)
    assert trained.grad_log_prob(x).shape == z.shape == (5, 2)
    assert trained.sample(4).shape == (4, 2)
    assert trained.sample(0).shape == (0, 2)
    assert trained.log_prob(x[:0]).shape == (0,)
    x, context = np.full((5, 3), 0.25), np.full((5, 2), 0.75)
    assert conditional.grad_log_prob(x, context).shape == (5, 3)
    assert conditional.grad_log_prob_context(x, context).shape == (5, 2)
    assert conditional.grad_log_prob_context(x, context[0]).shape == (5, 2)
    assert conditional.grad_log_prob_context(x[0], context[0]).shape == (2,)


def test_a_single_row_has_no_batch_axis(trained, moons):
    x, row = moons[:1], moons[0]
    assert isinstance(trained.log_prob(row), float)
    assert trained.log_prob(row) == trained.log_prob(x)[0]
    assert trained.grad_log_prob(row).shape == (2,)
    z, log_det = trained.to_noise(row)
    assert z.shape == (2,)
    assert isinstance(log_det, float)
    np.testing.assert_array_equal(z, trained.to_noise(x)[0][0])
    assert isinstance(trained.log_prob([0.5, 0.25]), float)


def test_one_dimension():
    flow = quick(dim=1, dtype="float64")
    x = np.linspace(-2.3, 1.7, 9)
    expected = flow.log_prob(x[:, None])
    assert expected.shape == (9,)
    np.testing.assert_array_equal(flow.log_prob(x), expected)
    z, log_det = flow.to_noise(x)
    assert z.shape == log_det.shape == flow.grad_log_prob(x).shape == (9,)
    assert flow.to_noise(x[:, None])[0].shape == (9, 1)
    assert flow.log_prob(x[3]) == expected[3]
    assert flow.log_prob(x[:1]).shape == (1,)
    assert flow.sample(7).shape == (7, 1)


def test_one_dimension_of_context():
    flow = quick(dim=1, context_dim=1, dtype="float64")
    x, context = np.linspace(-2.3, 1.7, 9), np.linspace(0.2, 0.9, 9)
    np.testing.assert_array_equal(flow.log_prob(x, context), flow.log_prob(x[:, None], context[:, None]))
    np.testing.assert_array_equal(flow.log_prob(x, 0.4), flow.log_prob(x, np.full(9, 0.4)))
    assert flow.grad_log_prob_context(x, context).shape == (9,)
    assert flow.grad_log_prob_context(x, context[:, None]).shape == (9, 1)
    assert flow.sample(9, context).shape == (9, 1)


def test_wrong_shapes(trained, conditional):
    with pytest.raises(ValueError, match="x has 5 columns, this flow has dim 2"):
        trained.log_prob(np.ones((4, 5)))
    with pytest.raises(ValueError, match="z has 5 columns, this flow has dim 2"):
        trained.from_noise(np.ones((4, 5)))
    with pytest.raises(ValueError, match="context given, but"):
        trained.log_prob(np.ones((4, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="context is missing"):
        conditional.log_prob(np.ones((4, 3)))
    with pytest.raises(ValueError, match="context has 2 rows, the sample has 4"):
        conditional.sample(4, np.ones((2, 2)))
    with pytest.raises(ValueError, match="no context to differentiate by"):
        trained.grad_log_prob_context(np.ones((4, 2)), None)
    with pytest.raises(ValueError, match="n must be from 0"):
        trained.sample(-1)


def test_options_that_cannot_be():
    for options in (
        {"dim": 0},
        {"dim": 65537},
        {"transforms": 0},
        {"hidden": (16, 0)},
        {"activation": "rely"},
        {"scale": "none"},
        {"context_dim": -1},
        {"seed": -1},
        {"dtype": "float16"},
    ):
        with pytest.raises(ValueError):
            quick(**options)
    with pytest.raises(diffeo.Error) as caught:
        quick(dim=65537)
    assert (caught.value.status, caught.value.name) == (-1, "DIFFEO_EINVAL")
    assert "65536" in str(caught.value)


@pytest.mark.parametrize("maker", MAKERS)
def test_gradients_are_those_of_differences(maker):
    x, context = regression(40, seed=5)
    flow = quick(maker, context_dim=2, activation="tanh", dtype="float64")
    theta = flow.parameters()
    flow = flow.with_parameters(theta + np.random.default_rng(6).normal(0, 0.1, theta.size))
    by_x = gradient_by_differences(lambda x: flow.log_prob(x, context), x)
    by_context = gradient_by_differences(lambda context: flow.log_prob(x, context), context)
    np.testing.assert_allclose(flow.grad_log_prob(x, context), by_x, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(flow.grad_log_prob_context(x, context), by_context, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("maker", MAKERS)
def test_log_prob_is_that_of_the_noise(maker):
    x = two_moons(200, seed=7)
    flow = quick(maker, dim=2, dtype="float64")
    z, log_det = flow.to_noise(x)
    normal = -0.5 * (z**2).sum(axis=1) - np.log(2 * np.pi)
    np.testing.assert_allclose(flow.log_prob(x), normal + log_det, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("maker", MAKERS)
def test_round_trips(maker, dtype):
    x, context = regression(200, seed=8)
    x, context = x.astype(dtype), context.astype(dtype)
    flow = quick(maker, context_dim=2, dtype=dtype)
    flow.fit(x, context, max_epochs=2, batch_size=50, progress=False)
    z, log_det = flow.to_noise(x, context)
    back, log_det_back = flow.from_noise(z, context)
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(back, x, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=tolerance, atol=tolerance)


def test_input_is_left_alone(conditional):
    x, context = regression(50, seed=9)
    before = x.copy(), context.copy()
    conditional.log_prob(x, context)
    conditional.grad_log_prob(x, context)
    conditional.from_noise(conditional.to_noise(x, context)[0], context)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(context, before[1])


def test_one_context_row_serves_all(conditional):
    x, context = regression(50, seed=9)
    repeated = np.repeat(context[:1], 50, axis=0)
    expected = conditional.log_prob(x, repeated)
    for one in context[0], context[:1], list(context[0]), context[0].astype(np.float64):
        np.testing.assert_array_equal(conditional.log_prob(x, one), expected)
    np.testing.assert_array_equal(conditional.sample(50, context[0], seed=1), conditional.sample(50, repeated, seed=1))


def test_samples_are_reproducible(trained):
    x = trained.sample(1000, seed=5)
    np.testing.assert_array_equal(trained.sample(1000, seed=5), x)
    np.testing.assert_array_equal(trained.sample(300, seed=5, first_row=417), x[417:717])
    np.testing.assert_array_equal(trained.sample(1, seed=5, first_row=999), x[999:])
    assert (trained.sample(1000, seed=6) != x).any(axis=1).all()
    assert (trained.sample(10) != trained.sample(10)).all()
    for seed in 0, 2**64 - 1:
        assert np.isfinite(trained.sample(10, seed=seed)).all()


def test_results_do_not_depend_on_batch_or_threads(trained, moons):
    diffeo.set_num_threads(1)
    log_prob, samples = trained.log_prob(moons), trained.sample(3000, seed=2)
    gradient = trained.grad_log_prob(moons)
    pieces = [trained.log_prob(piece) for piece in np.array_split(moons, [1, 8, 75, 1000])]
    np.testing.assert_array_equal(np.concatenate(pieces), log_prob)
    for threads in 2, 3, 7:
        diffeo.set_num_threads(threads)
        np.testing.assert_array_equal(trained.log_prob(moons), log_prob)
        np.testing.assert_array_equal(trained.grad_log_prob(moons), gradient)
        np.testing.assert_array_equal(trained.sample(3000, seed=2), samples)


def test_sample_and_log_prob(trained, conditional):
    x, log_prob = trained.sample_and_log_prob(500, seed=3)
    np.testing.assert_array_equal(x, trained.sample(500, seed=3))
    np.testing.assert_allclose(log_prob, trained.log_prob(x), rtol=1e-9, atol=1e-9)
    _, context = regression(500, seed=10)
    x, log_prob = conditional.sample_and_log_prob(500, context, seed=3)
    np.testing.assert_allclose(log_prob, conditional.log_prob(x, context), rtol=1e-9, atol=1e-9)


def test_rows_that_are_not_finite_stay_alone(trained, moons):
    x = moons[:10].copy()
    expected = trained.log_prob(x)
    x[3, 1], x[7, 0] = np.nan, np.inf
    log_prob = trained.log_prob(x)
    assert np.isnan(log_prob[3])
    assert log_prob[7] == -np.inf
    others = [0, 1, 2, 4, 5, 6, 8, 9]
    np.testing.assert_array_equal(log_prob[others], expected[others])


@pytest.mark.long
def test_many_threads_share_a_flow(trained, moons):
    expected = trained.log_prob(moons)
    barrier = threading.Barrier(4)

    def work(_):
        barrier.wait(timeout=30)
        return all((trained.log_prob(moons) == expected).all() for _ in range(10 * LENGTH))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


@pytest.mark.long
def test_errors_keep_their_text_in_threads():
    barrier = threading.Barrier(4)

    def work(number):
        barrier.wait(timeout=30)
        for _ in range(50 * LENGTH):
            with pytest.raises(diffeo.Error, match=str(70000 + number)):
                diffeo.maf(dim=70000 + number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_number_of_threads():
    for n in 1, 3, 256:
        diffeo.set_num_threads(n)
        assert diffeo.get_num_threads() == n
    for bad in 0, 257, -1:
        with pytest.raises(ValueError, match="n must be from 1 to 256"):
            diffeo.set_num_threads(bad)
    assert diffeo.get_num_threads() == 256
    diffeo.set_num_threads(None)
    assert diffeo.get_num_threads() >= 1
