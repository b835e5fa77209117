"""Where data can be: layers that do not reach what follows them, ends of domains, rows outside."""

import diffeo
import h5py
import numpy as np
import pytest
from diffeo import Mixture, Spec, Spline

TO_UNIT = Mixture(target="uniform")
UNIT = Spline(low=0, high=1, boundary="interval")
CIRCLE = Spline(low=-2, high=2, boundary="periodic")


def spec(dim=1, **options):
    return Spec(dim, dtype="float64", **options)


def uniform(it, low=0, high=1):
    return it.set_base("uniform", low=low, high=high)


# What is built, and words of the refusal; None: it fits.
CASES = {
    "mixture to [0, 1]": (spec().add_autoregressive((4,), transformer=TO_UNIT), "layer 0"),
    "the same, uniform": (uniform(spec().add_autoregressive((4,), transformer=TO_UNIT)), None),
    "the same, uniform on less": (uniform(spec().add_autoregressive((4,), transformer=TO_UNIT), 0.2, 0.7), None),
    "the same, uniform on more": (uniform(spec().add_autoregressive((4,), transformer=TO_UNIT), 0, 1.5), "0.0 to 1.5"),
    "mixture to a logistic": (spec().add_autoregressive((4,), transformer=Mixture()), None),
    "interval spline": (spec().add_elementwise(transformer=UNIT), "layer 0"),
    "interval spline, student": (spec().add_elementwise(transformer=UNIT).set_base("student_t"), "student_t"),
    "interval spline, uniform": (uniform(spec().add_elementwise(transformer=UNIT)), None),
    "interval spline after a mixture": (
        uniform(spec().add_elementwise(transformer=TO_UNIT).add_elementwise(transformer=UNIT)),
        None,
    ),
    "interval spline before a mixture": (
        uniform(spec().add_elementwise(transformer=UNIT).add_elementwise(transformer=TO_UNIT)),
        "layer 0",
    ),
    "interval spline after logit": (
        uniform(spec().add_domain("logit", low=[2], high=[3]).add_elementwise(transformer=UNIT)),
        None,
    ),
    "interval spline, one column of two": (spec(2).add_elementwise(columns=[1], transformer=UNIT), "column 1"),
    "interval coupling": (spec(2).add_coupling((4,), transformer=UNIT), "column 1"),
    "interval coupling, permuted": (spec(2).add_coupling((4,), transformer=UNIT).add_permutation([1, 0]), "column 1"),
    "interval coupling, uniform": (
        uniform(
            spec(2).add_coupling((4,), transformer=UNIT).add_permutation([1, 0]).add_coupling((4,), transformer=UNIT)
        ),
        None,
    ),
    "interval coupling, then a scale": (
        uniform(spec(2).add_coupling((4,), transformer=UNIT).add_actnorm()),
        "layer 0",
    ),
    "image coupling to [0, 1], logit": (
        Spec(shape=(2, 2, 2), dtype="float64").add_image_coupling((4,), transformer=TO_UNIT)
        .add_domain("logit", range(4, 8), 0, 1), None,
    ),
    "checkerboard to [0, 1], logit": (
        Spec(shape=(1, 2, 2), dtype="float64").add_image_coupling((4,), mask="even", transformer=TO_UNIT)
        .add_domain("logit", [1, 2], 0, 1), None,
    ),
    "checkerboard to [0, 1], logit of the others": (
        Spec(shape=(1, 2, 2), dtype="float64").add_image_coupling((4,), mask="odd", transformer=TO_UNIT)
        .add_domain("logit", [1, 2], 0, 1), "column 0",
    ),
    "inverted log": (spec().add_domain("log", low=[0]).invert(), "layer 0"),
    "inverted logit": (spec().add_domain("logit", low=[-1], high=[1]).invert(), "layer 0"),
    "inverted logit, uniform": (uniform(spec().add_domain("logit", low=[-1], high=[1]).invert(), -1), None),
    "inverted softplus, then log": (
        spec().add_domain("softplus", low=[0]).invert().add_domain("log", low=[0]),
        None,
    ),
    "inverted softplus, then log from below": (
        spec().add_domain("softplus", low=[0]).invert().add_domain("log", low=[-1]),
        "layer 0",
    ),
    "inverted mixture": (spec().add_elementwise(transformer=TO_UNIT).invert(), None),
    "inverted interval spline": (spec().add_elementwise(transformer=UNIT).invert(), "layer 0"),
    "turned round, inverse autoregressive": (
        spec().add_autoregressive((4,), transformer=TO_UNIT).invert(),
        None,
    ),
    "angles": (
        uniform(
            spec(2).add_wrap(-2, 2).add_autoregressive((4,), transformer=CIRCLE).add_wrap(-2, 2, random_shift=True)
            .add_permutation([1, 0]).add_coupling((4,), transformer=CIRCLE), -2, 2,
        ),
        None,
    ),
    "angles, normal": (spec().add_wrap(-2, 2), "layer 0"),
    "angles, scaled": (uniform(spec(2).add_wrap(-2, 2).add_actnorm(), -2, 2), "layer 0"),
    "counts": (spec().add_dequantize(4).add_domain("logit", low=[-0.1], high=[1.1]), None),
    "counts, plain": (spec().add_dequantize(4), None),
    "an angle, normal": (spec(3).add_wrap(-2, 2, [1]), "column 1"),
    "an angle, logit": (spec(3).add_wrap([-2, 0], [2, 3], [1, 2]).add_domain("logit", [1, 2], [-2, 0], [2, 3]), None),
    "an angle, logit of more": (
        spec(3).add_wrap([-2, 0], [2, 3], [1, 2]).add_domain("logit", [1, 2], [-2, 0], [2, 4]), "column 2",
    ),
    "an angle, uniform": (uniform(spec(3).add_wrap(-2, 2, [0]), -2, 2), None),
    "counts of a column": (spec(2).add_dequantize([0], [1]).add_domain("softplus", [1], 0), None),
    "linear spline, uniform": (uniform(spec().add_elementwise(transformer=Spline(low=0, high=1))), None),
    "affine, uniform": (uniform(spec().add_autoregressive((4,))), None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_layers_reach_what_follows_them(name):
    it, refused = CASES[name]
    if refused:
        with pytest.raises(diffeo.errors.InvalidArgumentError, match="does not reach all of where") as caught:
            it.build()
        assert refused in str(caught.value)
        return
    flow = it.build(seed=3)
    x, log_prob = flow.sample_and_log_prob(2000, seed=1)
    assert np.isfinite(x).all()
    assert np.isfinite(log_prob).all()
    assert np.allclose(flow.log_prob(x), log_prob, atol=1e-6)
    if flow.dim == 1 and not name.startswith("counts"):
        # Finer at the ends of [0, 1], where densities may have poles.
        grid = np.union1d(np.linspace(-30, 30, 600_001), 1 / (1 + np.exp(np.linspace(-36, 36, 100_001))))
        assert np.trapezoid(np.exp(flow.log_prob(grid[:, None])), grid) == pytest.approx(1, abs=2e-3)


def test_a_file_is_taken_as_it_is(tmp_path):
    """What older versions built loads: here an interval spline over a normal distribution."""
    path = tmp_path / "flow.h5"
    uniform(spec().add_elementwise(transformer=UNIT)).build().save(path)
    with h5py.File(path, "r+") as f:
        del f["self_test"]
        f["base"].attrs["kind"] = np.bytes_("standard_normal")
    flow = diffeo.load(path)
    assert "standard_normal" in str(flow)
    assert np.isfinite(flow.log_prob([[0.5]])).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["logit", "log", "softplus"])
def test_no_sample_is_on_the_end_of_its_domain(kind, dtype):
    ends = {"low": [-1.5, 0]} | ({"high": [2.5, 1]} if kind == "logit" else {})
    flow = Spec(2, dtype=dtype).add_domain(kind, **ends).build()
    far = np.array([[-40, -200], [-900, -2000], [-1e30, 40], [-20, 30]], dtype)
    if kind == "logit":
        far = np.concatenate([far, -far])
    x, _ = flow.from_noise(far)
    assert (x > np.array([-1.5, 0], dtype)).all()
    if kind == "logit":
        assert (x < np.array([2.5, 1], dtype)).all()
    assert np.isfinite(flow.log_prob(x)).all()


def test_uniform_noise_is_within_its_ends():
    flow = Spec(64, dtype="float32").set_base("uniform", low=1, high=1 + 2e-6).build()
    x = flow.sample(4096, seed=1)
    ends = np.float32([1, 1 + 2e-6])
    assert (x > ends[0]).all()
    assert (x < ends[1]).all()


@pytest.mark.parametrize("before", ["", "domain", "standardize"])
def test_a_row_outside_is_named_with_its_column(before):
    x = np.exp(np.random.default_rng(0).normal(size=(1000, 3)))
    x[:, 0] += 1
    x[57, 1] = -0.5
    it = Spec(3)
    if before == "domain":
        it.add_domain("log", [0], low=[0])
    if before == "standardize":
        it.add_standardize(np.zeros(3), np.ones(3))
    flow = it.add_domain("softplus", low=[0, 0, 0] if before != "domain" else [-9, 0, 0]).add_standardize().build()
    with pytest.raises(diffeo.errors.NumericError, match=r"row 57 of x has no density.*by -0\.5 in column 1"):
        flow.fit(x, max_epochs=1, progress=False, validation=0)
    good = np.delete(x, 57, axis=0)
    with pytest.raises(diffeo.errors.NumericError, match=r"row 57 of the validation's x.*by -0\.5 in column 1"):
        flow.fit(good, max_epochs=1, progress=False, validation=x)
