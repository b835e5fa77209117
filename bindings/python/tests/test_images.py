"""Flows of images: shapes in and out, counts, temperature, training."""

import pickle
import re

import diffeo
import h5py
import numpy as np
import pytest
from diffeo import errors

SHAPE = (2, 4, 6)
LEVELS = 11
RNG = np.random.default_rng(3)


def smooth(n, shape=SHAPE, levels=LEVELS, seed=0):
    """Counts with neighbours that are alike, uint8."""
    noise = np.random.default_rng(seed).normal(size=(n, *shape))
    noise += np.roll(noise, 1, axis=-1) + np.roll(noise, 1, axis=-2) + noise.mean(axis=(1, 2, 3), keepdims=True) * 4
    return np.clip(levels / 2 + 1.2 * noise, 0, levels - 1).astype(np.uint8)


def small(shape=SHAPE, maker=diffeo.glow_image, **options):
    given = {"levels": 1, "steps": 2, "hidden": (6, 6), "quantization": LEVELS, "dtype": "float64", "seed": 2}
    return maker(shape, **given | options)


@pytest.fixture(scope="module")
def flow():
    """No longer near the identity."""
    made = small(context_dim=2)
    made.fit(IMAGES, CONTEXT, max_epochs=3, batch_size=16, lr=0.02, progress=False)
    return made


IMAGES, CONTEXT = smooth(64), RNG.normal(size=(64, 2))


# ------------------------------------------------------------------------------------------------------- shapes


def test_facts(flow):
    assert flow.shape == SHAPE
    assert flow.dim == 48
    assert repr(flow).startswith("<diffeo.Flow shape=(2, 4, 6) context_dim=2 dtype=float64 layers=")
    assert "images of 2 x 4 x 6" in str(flow)
    assert diffeo.maf(dim=3).shape == (3,)


def test_results_have_the_shape_that_was_given(flow):
    x, context = IMAGES[:5], CONTEXT[:5]
    flat = x.reshape(5, -1)
    log_prob, (z, log_det) = flow.log_prob(x, context), flow.to_noise(x, context)
    assert log_prob.shape == log_det.shape == (5,)
    assert z.shape == x.shape
    score = flow.grad_log_prob(x, context)
    assert score.shape == x.shape
    # Rows, one image and one row: the same numbers.
    np.testing.assert_array_equal(flow.log_prob(flat, context), log_prob)
    np.testing.assert_array_equal(flow.to_noise(flat, context)[0], z.reshape(5, -1))
    np.testing.assert_array_equal(flow.grad_log_prob(flat, context), score.reshape(5, -1))
    for one in x[3], flat[3]:
        assert flow.log_prob(one, context[3]) == log_prob[3]
        z3, log_det3 = flow.to_noise(one, context[3])
        assert z3.shape == one.shape
        assert log_det3 == log_det[3]
        np.testing.assert_array_equal(z3.ravel(), z[3].ravel())
        back, _ = flow.from_noise(z3, context[3])
        assert back.shape == one.shape
        np.testing.assert_allclose(back, one, atol=1e-9)
        assert flow.grad_log_prob(one, context[3]).shape == one.shape
        assert flow.grad_log_prob_context(one, context[3]).shape == (2,)
        assert flow.bits_per_dim(one, context[3]).shape == ()
    samples, log_prob = flow.sample_and_log_prob(7, context[0], seed=1)
    assert samples.shape == flow.sample(7, context[0], seed=1).shape == (7, *SHAPE)
    np.testing.assert_allclose(flow.log_prob(samples, context[0]), log_prob, rtol=1e-9)
    assert flow.log_prob(x[:0], context[:0]).shape == (0,)
    assert flow.sample(0, context[0]).shape == (0, *SHAPE)


def test_pullbacks(flow):
    x, context = IMAGES[:5] + 0.5, CONTEXT[:5]  # away from the ends, where the logit is steep
    weights, g_z = RNG.normal(size=5), RNG.normal(size=(5, *SHAPE))
    found = flow.log_prob_vjp(x, context, g_log_prob=weights)
    np.testing.assert_allclose(found.rows, weights[:, None, None, None] * flow.grad_log_prob(x, context), rtol=1e-9)
    pulled = flow.to_noise_vjp(x, context, g_z=g_z, g_log_det=weights)
    flat = flow.to_noise_vjp(x.reshape(5, -1), context, g_z=g_z.reshape(5, -1), g_log_det=weights)
    assert pulled.rows.shape == x.shape
    assert flat.rows.shape == (5, 48)
    np.testing.assert_array_equal(pulled.rows.reshape(5, -1), flat.rows)
    np.testing.assert_array_equal(pulled.parameters, flat.parameters)
    one = flow.from_noise_vjp(g_z[0], context[0], g_x=g_z[1])
    assert one.rows.shape == (1, *SHAPE)
    assert flow.sample_vjp(3, context[0], seed=1, g_x=g_z[:3]).context.shape == (3, 2)
    step = 1e-6 * g_z
    there, here = (flow.log_prob(x + sign * step, context) @ weights for sign in (1, -1))
    np.testing.assert_allclose((there - here) / 2e-6, (found.rows * g_z).sum(), rtol=1e-6)
    with pytest.raises(ValueError, match=r"g_z has shape \(5, 4, 6, 2\), expected"):
        flow.to_noise_vjp(x, context, g_z=np.moveaxis(g_z, 1, -1))


@pytest.mark.parametrize(
    ("shape", "wrong"),
    [
        ((1, 4, 6), (5, 4, 6)),
        ((1, 4, 6), (5, 4, 6, 1)),  # channels last
        ((2, 4, 6), (5, 4, 6, 2)),
        ((2, 4, 6), (4, 6, 2)),
        ((2, 4, 6), (5, 2, 6, 4)),
        ((2, 4, 6), (5, 47)),
        ((2, 4, 6), (47,)),
        ((2, 4, 6), ()),
        ((2, 4, 6), (1, 5, 2, 4, 6)),
    ],
)
def test_wrong_shapes_are_one_sentence(shape, wrong):
    flow = small(shape)
    expected = re.escape(f"has shape {wrong}, expected (n, {', '.join(map(str, shape))}) or {shape}")
    for call in flow.log_prob, flow.bits_per_dim, flow.to_noise, flow.grad_log_prob:
        with pytest.raises(errors.ShapeError, match=f"^x {expected}$"):
            call(np.zeros(wrong))
    with pytest.raises(errors.ShapeError, match=f"^z {expected}$"):
        flow.from_noise(np.zeros(wrong))
    if wrong not in ((5, 4, 6), ()):
        with pytest.raises(errors.ShapeError, match="x has shape"):
            diffeo.Trainer(flow, np.zeros(wrong))
        with pytest.raises(errors.ShapeError, match="x has shape"):
            diffeo.Trainer(flow, np.zeros(wrong, np.uint8))


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: diffeo.Spec(shape=(1, 5, 4)).add_squeeze(), "must be even: the map is 1 x 5 x 4"),
        (lambda: diffeo.Spec(shape=(1, 6, 6)).add_squeeze().add_squeeze(), "must be even: the map is 4 x 3 x 3"),
        (lambda: diffeo.Spec(shape=(6, 2, 2)).add_unsqueeze(), "6 channels"),
        (lambda: diffeo.Spec(shape=(1, 4, 4)).add_split(), "one channel here, which does not split"),
        (lambda: diffeo.Spec(shape=(1, 4, 4)).add_image_coupling(), "one channel here, which does not split"),
        (
            lambda: diffeo.Spec(shape=(2, 1, 1)).add_image_coupling(mask="even"),
            "a checkerboard has two places at least",
        ),
        (lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling(mask="none"), "nothing is left to condition on"),
        (
            lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling(mask=[True]),
            "mask has 1 entries, the map is 2 x 4 x 4",
        ),
        (lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling(mask=[1, 1]), "keeps all 2 channels"),
        (lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling(mask="random"), "mask must be one of 'first', 'last'"),
        (
            lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling(kernels=(3, 2, 3)),
            r"kernels\[1\] is 2, it must be odd",
        ),
        (lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling(kernels=(17, 1, 1)), r"kernels\[0\] is 17"),
        (lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling(kernels=(3, 0, 3)), "they are odd, 1 or more"),
        (lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling(kernels=(3, 3)), "kernels has 2 entries, expected 3"),
        (
            lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling((4, 5), blocks="residual"),
            "residual blocks of convolutions are all of one width",
        ),
        (
            lambda: diffeo.Spec(shape=(2, 4, 4)).add_image_coupling(transformer=diffeo.Spline(boundary="periodic")),
            "images are no angles",
        ),
        (lambda: diffeo.Spec(shape=(2, 4, 4)).add_split("even"), "keep must be one of 'first', 'last', not 'even'"),
        (lambda: diffeo.Spec(shape=(2, 4, 4)).add_squeeze("diagonal"), "order must be one of 'channels', 'places'"),
        (
            lambda: diffeo.Spec(shape=(2, 4, 4)).add_permutation([0, 1, 2]),
            "permutation has 3 entries, the map is 2 x 4",
        ),
        (lambda: diffeo.Spec(shape=(2, 4)), "shape has 2 entries, expected 3: channels, height, width"),
        (lambda: diffeo.Spec(shape=(0, 4, 4)), "channels is 0"),
        (lambda: diffeo.Spec(shape=(3, 256, 256)), "an image of 3 x 256 x 256 has 196608 numbers, at most 65536"),
        (lambda: small((1, 5, 4)), "must be even: the map is 1 x 5 x 4"),
        (lambda: small((1, 4, 4), levels=3), "must be even: the map is"),
        (lambda: small(levels=0), "levels must be from 1"),
        (lambda: small(levels=17), "levels is 17, it must be 0 to 16"),
        (lambda: small(steps=65), "steps is 65, it must be 0 to 64"),
        (lambda: small(quantization=1), "quantization is 1, it must be 2 to 16777216, or 0 for none"),
        (lambda: small(scale="exp", transformer=diffeo.Spline()), "scale is that of an affine map"),
        (lambda: small(transformer=diffeo.Spline(bins=65)), "bins is 65"),
        (lambda: small(transformer=diffeo.Spline(boundary="periodic")), "images are no angles"),
        (lambda: small(transformer="cubic"), "transformer must be one of"),
        (lambda: small(alpha=0.5), r"alpha is 0\.5, it must be 0 to 0\.499"),
        (lambda: small(maker=diffeo.realnvp_image, blocks="plain", hidden=(2**40,)), "hidden"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(build, text):
    with pytest.raises(ValueError, match=text):
        build()


def test_dim_or_shape():
    for given in {}, {"dim": 4, "shape": (1, 2, 2)}:
        with pytest.raises(TypeError, match="give dim, of vectors, or shape, of images"):
            diffeo.Spec(**given)
    spec = diffeo.Spec(shape=np.array([2, 4, 6]), context_dim=1, dtype="float64")
    assert repr(spec) == "Spec(shape=(2, 4, 6), context_dim=1, dtype='float64')"
    assert spec.map == SHAPE
    assert spec.add_squeeze().map == (8, 2, 3)
    assert spec.add_split().map == (4, 2, 3)
    assert spec.add_unsqueeze("places").map == (1, 4, 6)
    assert diffeo.Spec(5).map == (5, 1, 1)
    odd = diffeo.Spec(shape=(3, 2, 2))
    assert odd.add_split("last").map == (2, 2, 2)
    with pytest.raises(errors.StateError, match="squeeze"):
        diffeo.Spec(shape=(1, 2, 2)).add_squeeze().invert()


# ------------------------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize("order", ["channels", "places", "diagonals"])
def test_squeeze_is_numpy_s_reshape(order):
    x = RNG.normal(size=(3, 2, 4, 6))
    squares = x.reshape(3, 2, 2, 2, 3, 2)  # n, channel, y, line, x, place
    if order == "channels":
        expected = squares.transpose(0, 1, 3, 5, 2, 4)
    else:
        expected = squares.transpose(0, 3, 5, 1, 2, 4).reshape(3, 4, 2, 2, 3)
        expected = expected[:, [0, 3, 1, 2] if order == "diagonals" else slice(None)]
    spec = diffeo.Spec(shape=SHAPE, dtype="float64").add_squeeze(order)
    z, log_det = spec.build().to_noise(x)
    np.testing.assert_array_equal(z.reshape(3, -1), expected.reshape(3, -1))
    assert (log_det == 0).all()
    again, _ = spec.add_unsqueeze(order).build().to_noise(x)
    np.testing.assert_array_equal(again, x)


@pytest.mark.parametrize("add", [lambda s: s.add_linear(), lambda s: s.add_lu()])
def test_matrices_work_at_each_place(add):
    flow = add(diffeo.Spec(shape=(3, 4, 5), dtype="float64")).build(seed=1)
    flow = flow.with_parameters(
        flow.parameters() + 0.3 * flow.trained_parameters() * RNG.normal(size=flow.parameter_count)
    )
    matrix = np.stack([flow.to_noise(np.tile(e[:, None, None], (1, 4, 5)))[0][:, 2, 3] for e in np.eye(3)], axis=1)
    bias = flow.to_noise(np.zeros((3, 4, 5)))[0]
    matrix -= bias[:, :1, 0]
    x = RNG.normal(size=(3, 4, 5))
    z, log_det = flow.to_noise(x)
    np.testing.assert_allclose(z, np.einsum("oc,chw->ohw", matrix, x) + bias, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(log_det, 20 * np.linalg.slogdet(matrix)[1], rtol=1e-10, atol=1e-12)


def test_a_coupling_of_one_convolution_by_hand():
    spec = diffeo.Spec(shape=(2, 4, 6), dtype="float64")
    flow = spec.add_image_coupling((), mask="first", scale="additive").build()
    weight, bias = RNG.normal(size=(3, 3)), 0.7
    flow = flow.with_parameters([*weight.ravel(), bias])
    x = RNG.normal(size=(2, 4, 6))
    around = np.pad(x[0], 1)
    t = sum(weight[i, j] * around[i : i + 4, j : j + 6] for i in range(3) for j in range(3)) + bias
    z, log_det = flow.to_noise(x)
    np.testing.assert_allclose(z, [x[0], x[1] + t], rtol=1e-12)
    assert log_det == 0


# ------------------------------------------------------------------------------------------------------- counts


def test_bits_per_dim_is_the_mean_over_noise(flow):
    x, context = IMAGES[:4], CONTEXT[:4]
    draws = 400
    bits = flow.bits_per_dim(x, context, seed=5, draws=draws)
    assert bits.shape == (4,)
    noise = np.random.default_rng(1).random((draws, *x.shape))
    each = np.array([-flow.log_prob(x + u, context) / (flow.dim * np.log(2)) for u in noise])
    error = each.std(axis=0) * np.sqrt(2 / draws)
    assert (abs(bits - each.mean(axis=0)) < 5 * error).all()
    # Of one draw it is one of them, by seed and row, whatever the type of the counts and the threads.
    one = flow.bits_per_dim(x, context, seed=5)
    assert (abs(one - each.mean(axis=0)) < 6 * each.std(axis=0)).all()
    np.testing.assert_array_equal(flow.bits_per_dim(x.astype(float), context, seed=5), one)
    np.testing.assert_array_equal(flow.bits_per_dim(x[:2], context[:2], seed=5), one[:2])
    assert (flow.bits_per_dim(x, context, seed=6) != one).all()
    assert len(set(flow.bits_per_dim(np.repeat(x[:1], 9, axis=0), context[0]))) == 9
    diffeo.set_num_threads(3)
    np.testing.assert_array_equal(flow.bits_per_dim(x, context, seed=5, draws=draws), bits)


@pytest.mark.parametrize("wrong", [0.5, LEVELS, 256, -1, np.nan, np.inf])
def test_bits_per_dim_refuses_what_is_no_count(wrong):
    x = IMAGES[:3].astype(float)
    x[1, 0, 2, 3] = wrong
    with pytest.raises(ValueError, match=rf"in row 1, column 15: .* integers 0 to {LEVELS - 1}"):
        small().bits_per_dim(x)


def test_bits_per_dim_is_of_flows_that_dequantise():
    with pytest.raises(ValueError, match="dequantises columns"):
        small(quantization=0).bits_per_dim(IMAGES)
    with pytest.raises(ValueError, match="draws"):
        small().bits_per_dim(IMAGES, draws=0)
    with pytest.raises(ValueError, match="seed"):
        small().bits_per_dim(IMAGES, seed=-1)


@pytest.mark.parametrize("wrong", [-1, LEVELS])
def test_training_refuses_counts_out_of_range(wrong):
    x = IMAGES.astype(np.int16)
    x[7, 1, 0, 0] = wrong
    with pytest.raises((ValueError, ArithmeticError), match="row 7"):
        diffeo.Trainer(small(), x)


# -------------------------------------------------------------------------------------------- samples, between


@pytest.mark.parametrize("base", ["standard_normal", "normal", "logistic"])
def test_temperature(base):
    spec = diffeo.Spec(shape=SHAPE, dtype="float64").add_squeeze().add_lu().add_image_coupling((4,), activation="tanh")
    flow = spec.set_base(base).build(seed=3)
    noise = 0.1 * np.random.default_rng(1).normal(size=flow.parameter_count)
    flow = flow.with_parameters(flow.parameters() + flow.trained_parameters() * noise)
    mean = flow.parameters()[-96:-48] if base == "normal" else np.zeros(48)
    plain, cold = (flow.sample_and_log_prob(200, temperature=t, seed=4) for t in (1.0, 0.5))
    z, log_det = flow.to_noise(plain[0])
    half, log_det_half = flow.to_noise(cold[0])
    z, half = z.reshape(200, -1) - mean, half.reshape(200, -1) - mean
    np.testing.assert_allclose(half, z / 2, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(half.std(), z.std() / 2, rtol=1e-9)
    # The density of the base at the draws, of a row of 48 numbers half as far, and what the layers make of it.
    of_base = plain[1] - log_det
    np.testing.assert_allclose(cold[1], of_base + 48 * np.log(2) + log_det_half, rtol=1e-9)
    np.testing.assert_array_equal(flow.sample(200, seed=4), plain[0])
    np.testing.assert_array_equal(flow.sample(9, temperature=0.5, seed=4, first_row=100), cold[0][100:109])


def test_temperatures_that_cannot_be():
    flow = small()
    for wrong in 0.0, -1.0, np.nan, np.inf:
        with pytest.raises(ValueError, match=r"temperature is .*, it must be above 0"):
            flow.sample(2, temperature=wrong)
    with pytest.raises(TypeError, match="temperature must be a number"):
        flow.sample(2, temperature="cold")
    student = diffeo.Spec(3).set_base("student_t").build()
    assert student.sample(2, temperature=1.0).shape == (2, 3)
    with pytest.raises(NotImplementedError):
        student.sample(2, temperature=0.7)


@pytest.mark.parametrize("spherical", [False, True])
def test_interpolation(flow, spherical):
    a, b, context = IMAGES[:3], IMAGES[3:6], CONTEXT[:3]
    path = flow.interpolate(a, b, 5, context, spherical=spherical)
    assert path.shape == (3, 5, *SHAPE)
    np.testing.assert_allclose(path[:, 0], a, atol=1e-8)
    np.testing.assert_allclose(path[:, -1], b, atol=1e-8)
    np.testing.assert_array_equal(flow.interpolate(a[1], b[1], 5, context[1], spherical=spherical), path[1])
    ends = [flow.to_noise(each, context)[0] for each in (a, b)]
    middle, _ = flow.to_noise(path[:, 2], context)
    lengths = [np.sqrt((z**2).sum(axis=(1, 2, 3))) for z in (*ends, middle)]
    if spherical:
        assert (lengths[2] >= np.minimum(lengths[0], lengths[1]) - 1e-9).all()
    else:
        np.testing.assert_allclose(middle, (ends[0] + ends[1]) / 2, atol=1e-8)
    # On one line there is no circle.
    np.testing.assert_allclose(
        flow.interpolate(a[0], a[0], 3, context[0], spherical=spherical), np.stack([a[0]] * 3), atol=1e-8
    )


def test_interpolation_refuses(flow):
    with pytest.raises(ValueError, match="steps must be from 2"):
        flow.interpolate(IMAGES[0], IMAGES[1], 1, CONTEXT[0])
    with pytest.raises(ValueError, match=r"a has shape \(2, 4, 6\), b has \(1, 2, 4, 6\)"):
        flow.interpolate(IMAGES[0], IMAGES[1:2], 3, CONTEXT[0])
    with pytest.raises(ValueError, match="b has shape"):
        flow.interpolate(IMAGES[0], np.zeros((4, 6, 2)), 3, CONTEXT[0])


# -------------------------------------------------------------------------------------------------------- files


def test_files(flow, tmp_path):
    flow.save(tmp_path / "flow.h5")
    x, context = IMAGES[:5], CONTEXT[:5]
    for again in diffeo.load(tmp_path / "flow.h5"), pickle.loads(pickle.dumps(flow)):
        assert again.shape == SHAPE
        assert str(again) == str(flow)
        np.testing.assert_array_equal(again.log_prob(x, context), flow.log_prob(x, context))
        np.testing.assert_array_equal(again.sample(3, context[0], seed=1), flow.sample(3, context[0], seed=1))
    with h5py.File(tmp_path / "flow.h5") as f:
        assert list(f.attrs["event_shape"]) == list(SHAPE)
    flow.sample_to(tmp_path / "x.npy", 5, context[0], seed=1)
    samples = flow.sample(5, context[0], seed=1)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), samples)
    flow.sample_to(tmp_path / "x.h5", 5, context[0], seed=1)
    with h5py.File(tmp_path / "x.h5") as f:
        np.testing.assert_array_equal(f["x"][:], samples.reshape(5, -1))


def test_threads_and_batches_do_not_show(flow):
    x, context = IMAGES[:37], CONTEXT[:37]
    results = []
    for threads in 1, 3:
        diffeo.set_num_threads(threads)
        results.append([flow.log_prob(x, context), flow.grad_log_prob(x, context), *flow.to_noise(x, context)])
    results.append([each[:] for each in results[0]])
    results[2][0] = np.array([flow.log_prob(row, c) for row, c in zip(x, context, strict=True)])
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


# ----------------------------------------------------------------------------------------------------- training


DIGITS = smooth(300, (1, 8, 8), 17, seed=1)


def digits(maker=diffeo.glow_image, **options):
    given = {"levels": 2, "steps": 1, "hidden": (8, 8), "quantization": 17, "seed": 1}
    return maker((1, 8, 8), **given | options)


def trained(x, flow=None, **options):
    made = flow or digits()
    given = {"max_epochs": 2, "batch_size": 50, "progress": False, "lr": 5e-3}
    made.fit(x, **given | options)
    return made


def same(a, b):
    return bool((a.parameters() == b.parameters()).all())


@pytest.mark.parametrize("maker", [diffeo.glow_image, diffeo.realnvp_image])
def test_training_lowers_bits_per_dim(maker):
    flow = digits(maker)
    before = flow.bits_per_dim(DIGITS).mean()
    trained(DIGITS, flow, max_epochs=8)
    after = flow.bits_per_dim(DIGITS).mean()
    assert after < before - 0.5
    assert 0 < after < np.log2(17)
    samples = flow.sample(50, seed=1)
    assert samples.min() > -1
    assert samples.max() < 18


@pytest.fixture(scope="module")
def by_float():
    return trained(DIGITS.astype(np.float32))


def test_counts_train_as_floats_do(by_float, tmp_path):
    np.save(tmp_path / "x.npy", DIGITS)
    with h5py.File(tmp_path / "x.h5", "w") as f:
        f["x"], f["lines"], f["flat"] = DIGITS, DIGITS[:, 0], DIGITS.reshape(300, -1)
    with h5py.File(tmp_path / "x.h5") as f:
        for x in (
            DIGITS, DIGITS[:, 0], DIGITS[:, 0].astype(np.float32), DIGITS.reshape(300, -1),
            np.load(tmp_path / "x.npy", mmap_mode="r"), f["x"], f["lines"], f["flat"],
        ):  # fmt: skip
            assert same(trained(x), by_float)
        expected = by_float.log_prob(DIGITS)
        for name in f:
            np.testing.assert_array_equal(by_float.log_prob(f[name]), expected)
            np.testing.assert_array_equal(by_float.bits_per_dim(f[name]), by_float.bits_per_dim(DIGITS))
        with pytest.raises(ValueError, match=r"x has shape \(300, 8, 8\), expected \(n, 2, 8, 4\)"):
            small((2, 8, 4)).log_prob(f["lines"])
    images = (DIGITS[i : i + 70] for i in range(0, 300, 70))
    assert same(trained(images), by_float)
    held_out = DIGITS[:40]
    assert same(
        trained(DIGITS, validation=held_out), trained(DIGITS.astype(np.float32), validation=held_out.astype(np.float32))
    )


def test_log_prob_reads_counts_by_the_piece(flow):
    """The same numbers, whatever the type of the counts, and into what is given."""
    x, context = smooth(3000), np.repeat(CONTEXT[:1], 3000, axis=0)
    out = np.zeros(3000)
    expected = flow.log_prob(x.astype(float), context)
    np.testing.assert_array_equal(flow.log_prob(x, context), expected)
    np.testing.assert_array_equal(flow.log_prob(x, context[0]), expected)
    assert flow.log_prob(x, context, out=out) is out
    np.testing.assert_array_equal(out, expected)
    with pytest.raises(ValueError, match="context is missing"):
        flow.log_prob(x)


def test_counts_are_read_where_memory_does_not_hold_floats(tmp_path):
    x = smooth(3000, (1, 8, 8), 17, seed=2)
    np.save(tmp_path / "x.npy", x)
    small = {"rows_memory": 1 << 16, "max_epochs": 1}
    assert same(trained(x, **small), trained(np.load(tmp_path / "x.npy", mmap_mode="r"), **small))


def test_flips_and_shifts():
    plain = trained(DIGITS)
    for options in {"image_flip": True}, {"image_shift": 1}, {"image_flip": True, "image_shift": 2}:
        made = trained(DIGITS, **options)
        assert not same(made, plain)
        assert same(trained(DIGITS, threads=2, **options), made)
        assert not same(trained(DIGITS, seed=5, **options), made)
    with pytest.raises(ValueError, match="image_shift and image_flip are for images"):
        diffeo.maf(2).fit(np.zeros((9, 2)), image_flip=True, progress=False)
    for wrong in -1, 2**40:
        with pytest.raises(ValueError, match="image_shift"):
            trained(DIGITS, image_shift=wrong)


def test_a_flow_of_flipped_images_cares_for_no_side():
    """With all images lit on the left, one that was trained with flips finds both sides as likely; others do not."""
    x = smooth(400, (1, 4, 4), LEVELS, seed=4)
    x[..., :2] = np.minimum(x[..., :2] + 4, LEVELS - 1)
    margins = []
    for image_flip in False, True:
        flow = small((1, 4, 4))
        trained(x, flow, max_epochs=15, image_flip=image_flip)
        margins.append((flow.bits_per_dim(x[..., ::-1].copy()) - flow.bits_per_dim(x)).mean())
    assert margins[0] > 0.2
    assert abs(margins[1]) < margins[0] / 4


def test_checkpoints(tmp_path):
    options = {"image_flip": True, "image_shift": 1, "max_epochs": 4}
    whole = trained(DIGITS, **options)
    flow = digits()
    trained(DIGITS, flow, checkpoint=tmp_path / "c.h5", on_progress=lambda t: t.report.epoch == 2, **options)
    again = digits()
    trained(DIGITS, again, checkpoint=tmp_path / "c.h5", **options)
    assert same(again, whole)


def test_warnings():
    with pytest.warns(diffeo.TrainingWarning, match="Where values repeat"):
        trained(np.minimum(DIGITS, 8), digits(quantization=0), max_epochs=0)


def test_targets_get_images():
    flow = digits(quantization=0, split=False)
    shapes = set()

    def target(x):
        shapes.add(x.shape[1:])
        return -0.5 * (x**2).sum(axis=(1, 2, 3)), -x

    flow.fit_target(target, steps=4, window=2, batch_size=8, progress=False)
    assert shapes == {(1, 8, 8)}
    found = diffeo.importance(flow, lambda x: -0.5 * (x**2).sum(axis=(1, 2, 3)), n=50)
    assert found.x.shape == (50, 1, 8, 8)


# ------------------------------------------------------------------------------------------------ whole flows


@pytest.mark.parametrize("maker", [diffeo.glow_image, diffeo.realnvp_image])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"levels": None, "steps": 1},
        {"split": False},
        {"learned_prior": False, "learned_top": False},
        {"quantization": 0, "scale": "exp"},
        {"alpha": 0.0},
        {"context_dim": 2, "gain": True, "kernels": (1, 1, 1)},
        {"blocks": "residual", "activation": "silu"},
        {"blocks": "plain", "dtype": "float32"},
        {"transformer": diffeo.Spline(4, -3, 3), "kernels": (5, 1, 1)},
        {"transformer": diffeo.Mixture(3), "learned_top": False},
    ],
)
def test_there_and_back(maker, options):
    flow = small((1, 8, 8), maker, **options)
    x, context = smooth(20, (1, 8, 8)), RNG.normal(size=(20, 2)) if flow.context_dim else None
    flow.fit(x, context, max_epochs=1, batch_size=5, lr=0.01, progress=False)
    tolerance = 1e-3 if flow.dtype == np.float32 else 1e-8
    z, log_det = flow.to_noise(x, context)
    back, log_det_back = flow.from_noise(z, context)
    np.testing.assert_allclose(back, x, atol=tolerance * 10)
    np.testing.assert_allclose(log_det_back, -log_det, rtol=tolerance)
    assert np.isfinite(flow.log_prob(x, context)).all()


def test_their_own_options():
    def text(**options):
        return str(small((1, 8, 8), **options))

    assert "linear: matrix of 4 x 4" in text(lu=False)
    assert "lu: matrix of 4 x 4" in text()
    assert text(levels=2).count("squeeze") == 2
    assert text(steps=3).count("lu:") == 3
    assert "inverse convolutional_coupling: exp scale" in text(levels=2)
    assert "inverse" not in text(levels=2, learned_prior=False)
    assert "dequantize" not in text(quantization=0)
    assert "logit" not in text(alpha=0)
    assert text(levels=2, steps=2, transformer=diffeo.Spline()).count("linear spline of 8 bins") == 4
    assert "checkerboard" in str(small((1, 8, 8), diffeo.realnvp_image))
    a, again, b = (small(lu=False, seed=seed).to_noise(IMAGES)[0][:, 0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, again)
    assert (a != b).all()


def test_defaults_are_those_of_the_library():
    for name in "glow_image", "realnvp_image":
        options = diffeo._abi.defaults(diffeo._abi.ImageOptions, diffeo._abi.lib.diffeo_image_options_init)
        options.channels, options.height, options.width = 1, 16, 16
        theirs = diffeo.Flow(
            diffeo._abi.create(diffeo._abi.Flow, getattr(diffeo._abi.lib, f"diffeo_{name}_create"), options)
        )
        assert str(theirs) == str(getattr(diffeo, name)((1, 16, 16)))


# ------------------------------------------------------------------------------------------------------ pullbacks


@pytest.mark.parametrize("options", [{}, {"blocks": "residual"}, {"blocks": "preactivation", "activation": "gelu"}])
def test_hidden_maps_are_kept_or_made_again_with_the_same_bits(options):
    """Of sixteen images they are more than the library keeps (256 MiB), of one they are not."""
    shape, rows, hidden = (2, 128, 128), 16, 280
    if options:
        hidden, options = (72, 72), options | {"kernels": (1, 1, 1)}
    flow = diffeo.Spec(shape=shape).add_image_coupling(hidden, **options).build(seed=1)
    parameters = flow.parameters()
    flow = flow.with_parameters(parameters + 0.01 * RNG.normal(size=len(parameters)).astype(np.float32))
    x = RNG.normal(size=(rows, *shape)).astype(np.float32)
    weights = RNG.normal(size=rows).astype(np.float32)
    together = flow.log_prob_vjp(x, g_log_prob=weights)
    alone = [flow.log_prob_vjp(x[i : i + 1], g_log_prob=weights[i : i + 1]) for i in range(rows)]
    np.testing.assert_array_equal(together.rows, np.concatenate([g.rows for g in alone]))
    total = np.sum([g.parameters for g in alone], axis=0, dtype=float)
    scale = np.abs(total).max()
    np.testing.assert_allclose(together.parameters / scale, total / scale, atol=1e-4)
