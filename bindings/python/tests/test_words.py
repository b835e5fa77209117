"""Python's words: in errors, in types, and the names of columns."""

import inspect
import io
import typing

import diffeo
import numpy as np
import pytest
from diffeo import _abi, _words

X = np.random.default_rng(0).normal(size=(50, 2))


class Frame:
    """A data frame, as far as any library has one."""

    def __init__(self, values, columns):
        self.values, self.columns = np.asarray(values), list(columns)

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)

    def to_numpy(self):
        return self.values


def fit(flow, *given, **options):
    return flow.fit(*given, **{"max_epochs": 1, "progress": False} | options)


@pytest.mark.parametrize(
    "name", [name for name in dir(_words) if name[0].isupper() and name not in ("Literal", "TypeAlias")]
)
def test_types_have_the_words_of_the_library(name):
    tables = [value for key, value in vars(_abi).items() if key.isupper() and isinstance(value, dict) and value]
    words = set(typing.get_args(getattr(_words, name)))
    assert words in [
        {word for word in table if word != "given"} for table in tables if all(isinstance(k, str) for k in table)
    ]


def smallest(maker):
    """What a flow by name wants."""
    of_images = "shape" in inspect.signature(maker).parameters
    return {"context_dim": 1} | ({"shape": (1, 4, 4)} if of_images else {"dim": 2})


# For whom a number of a base is: others ignore it.
BASES = {
    "set_base": {
        "epsilon": {"base": "mixture"},
        "alpha": {"base": "beta", "hidden": None},
        "beta": {"base": "beta", "hidden": None},
    }
}  # fmt: skip


def calls():
    """Every keyword with a number for its default, of all that takes options, with a call that gives it."""
    flow = diffeo.maf(2, transforms=1, hidden=4)
    makers = [
        getattr(diffeo, name)
        for name in diffeo.__all__
        if getattr(getattr(diffeo, name), "__module__", "").endswith("architectures")
    ]
    functions = {
        maker.__name__: (maker, lambda maker=maker, **given: maker(**smallest(maker) | given)) for maker in makers
    }
    functions["fit"] = (flow.fit, lambda **given: fit(flow, X, **given))
    for method, before in {
        "add_autoregressive": {}, "add_coupling": {}, "add_elementwise": {"hidden": (4,)}, "add_batch_norm": {},
        "add_wrap": {},
        "set_base": {"base": "student_t", "hidden": (4,)}, "set_base_made": {"conditional": "mixture"},
    }.items():  # fmt: skip
        functions[method] = (
            getattr(diffeo.Spec, method),
            lambda method=method, before=before, **given: getattr(diffeo.Spec(2, 1), method)(
                **before | BASES.get(method, {}).get(next(iter(given)), {}) | given
            ),
        )
    for method in "add_image_coupling", "add_split":
        functions[method] = (
            getattr(diffeo.Spec, method),
            lambda method=method, **given: getattr(diffeo.Spec(shape=(2, 4, 4)), method)(**given),
        )
    for kind in diffeo.Spline, diffeo.LinearSpline, diffeo.Mixture:
        functions[kind.__name__] = (
            kind,
            lambda kind=kind, **given: diffeo.Spec(2).add_coupling(transformer=kind(**given)),
        )
    for name, (function, call) in functions.items():
        for parameter in inspect.signature(function).parameters.values():
            default = parameter.default
            if (isinstance(default, (int, float)) and not isinstance(default, bool)) or parameter.name in (
                "hidden", "scale_bound", "scale_epsilon", "df", "alpha", "beta",
            ):  # fmt: skip
                yield pytest.param(call, parameter.name, id=f"{name} {parameter.name}")


@pytest.mark.parametrize(("call", "name"), list(calls()))
def test_errors_say_the_argument(call, name):
    if name not in ("validation",):
        with pytest.raises(TypeError, match=rf"^{name}\b"):
            call(**{name: "much"})
    if name in ("low", "high"):
        return  # against each other
    wrong = {"hidden": (-1,), "seed": -1}.get(name, -7)
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        call(**{name: wrong})


def test_numbers_of_functions():
    flow = diffeo.maf(2, transforms=1, hidden=4)
    for name, wrong in {"n": -1, "temperature": -7, "seed": -1, "first_row": -1}.items():
        given = {"n": 2} | {name: wrong}
        with pytest.raises(ValueError, match=rf"^{name}\b"):
            flow.sample(**given)
        with pytest.raises(TypeError, match=rf"^{name}\b"):
            flow.sample(**given | {name: "much"})


def test_names_that_differ_in_c():
    spec = diffeo.Spec(2)
    with pytest.raises(ValueError, match=r"log_scales\[1\]"):
        spec.add_coupling(scale="clamped_exp", log_scales=(0, 100))
    with pytest.raises(ValueError, match=r"len\(hidden\) is 17"):
        spec.add_coupling((1,) * 17)


def test_what_is_no_number_is_named():
    flow = diffeo.maf(2, transforms=1, hidden=4)
    table = Frame(np.array([[1.0, 2.0], [3.0, "red"]], object), ["size", "colour"])
    with pytest.raises(ValueError, match="x must hold real numbers, not 'red' in row 1, column 'colour'"):
        flow.log_prob(table)
    with pytest.raises(TypeError, match="x must hold real numbers, not 'red' in row 1, column 1"):
        flow.log_prob([["1", "2"], ["3", "red"]])


def test_columns_of_data_frames():
    flow = diffeo.maf(2, transforms=1, hidden=4, context_dim=2, dtype="float64")
    assert flow.columns is None
    context = X[::-1] * [1, 3]
    fit(flow, Frame(X * [1, 5], ["a", "b"]), Frame(context, ["u", "v"]))
    again = diffeo.from_bytes(flow.to_bytes())
    assert (again.columns, again.context_columns) == (("a", "b"), ("u", "v"))
    expected = flow.log_prob(X, context)
    swapped, turned = Frame(X[:, ::-1], ["b", "a"]), Frame(context[:, ::-1], ["v", "u"])
    np.testing.assert_array_equal(again.log_prob(swapped, turned), expected)
    np.testing.assert_array_equal(again.log_prob(Frame(X, [0, 1]), context), expected)
    np.testing.assert_array_equal(again.sample(50, turned, seed=1), flow.sample(50, context, seed=1))
    with pytest.raises(ValueError, match=r"x has other columns than 'a', 'b', .*'a' missing; 'c' unknown"):
        again.log_prob(Frame(X, ["b", "c"]), context)
    with pytest.raises(ValueError, match="context has other columns than 'u', 'v'"):
        again.sample(50, Frame(context, ["u", "w"]))
    fit(again, swapped, turned, validation=(swapped, context))
    assert again.columns == ("a", "b")


def test_a_validation_frame_in_another_order():
    flows = [diffeo.maf(2, transforms=1, hidden=4, seed=1) for _ in range(2)]
    data = X * [1, 5] + [0, 9]
    history = [
        fit(flows[0], Frame(data, ["a", "b"]), validation=Frame(data[:, ::-1], ["b", "a"])),
        fit(flows[1], data, validation=data),
    ]
    assert history[0].validation_log_prob == history[1].validation_log_prob


def test_binary_files():
    flow = diffeo.maf(2, transforms=1, hidden=4)
    file = io.BytesIO()
    flow.save(file)
    file.seek(0)
    for given in file, file.getvalue(), bytearray(file.getvalue()), file.getbuffer():
        np.testing.assert_array_equal(diffeo.load(given).parameters(), flow.parameters())
    with pytest.raises(ValueError, match="not an HDF5 file"):
        diffeo.load(b"flow.h5")
    with pytest.raises(TypeError, match="binary mode"):
        diffeo.load(io.StringIO("text"))
