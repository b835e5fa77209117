"""From what users pass to what the library takes."""

import numpy as np
import pytest
from diffeo import _abi
from diffeo._arrays import choice, context_rows, integer, rows, seed64
from diffeo.errors import ShapeError

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
RNG = np.random.default_rng(11)


def as_rows(value, columns=3, dtype=F32):
    return rows(value, columns, dtype, "x", "dim")


@pytest.mark.parametrize("dtype", [F32, F64])
def test_contiguous_floats_are_not_copied(dtype):
    x = RNG.normal(size=(7, 3)).astype(dtype)
    given = as_rows(x)
    assert given.array.dtype == dtype
    assert given.array.__array_interface__["data"][0] == x.__array_interface__["data"][0]
    x.flags.writeable = False
    assert np.shares_memory(as_rows(x).array, x)
    assert np.shares_memory(as_rows(x[2:5]).array, x)
    assert np.shares_memory(as_rows(x[0]).array, x)


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda x: np.concatenate([x, x])[::2],
        lambda x: x.astype(">f4"),
        lambda x: x.astype(">f8"),
        lambda x: np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape),  # not aligned
    ],
)
def test_other_layouts_are_copied_and_keep_their_width(change):
    x = change(RNG.normal(size=(8, 3)).astype(np.float32))
    array = as_rows(x).array
    assert array.flags.c_contiguous
    assert array.flags.aligned
    assert array.dtype.isnative
    assert array.dtype.itemsize == x.dtype.itemsize
    np.testing.assert_array_equal(array, x)


@pytest.mark.parametrize(
    "x",
    [
        [[1.5, 2.5, 3.5]],
        [(1, 2, 3)],
        np.array([[1, 2, 3]]),
        np.array([[True, False, True]]),
        np.ones((1, 3), np.float16),
        np.array([[1.5, 2, 3]], object),
    ],
)
def test_other_types_become_that_of_the_flow(x):
    for dtype in F32, F64:
        assert as_rows(x, dtype=dtype).array.dtype == dtype


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    x = RNG.normal(size=(5, 3))
    frame = pandas.DataFrame(x, columns=list("abc"))
    np.testing.assert_array_equal(as_rows(frame).array, x)
    assert as_rows(frame).array.dtype == F64
    assert as_rows(frame.astype("float32"), dtype=F64).array.dtype == F32
    assert as_rows(frame["a"], columns=1).batch == (5,)


def test_shapes():
    x = RNG.normal(size=(5, 3))
    for value, columns, batch, event in [
        (x, 3, (5,), (3,)),
        (x[0], 3, (), (3,)),
        (x[:0], 3, (0,), (3,)),
        (x[:, 0], 1, (5,), ()),
        (x[:, :1], 1, (5,), (1,)),
        (x[:1, 0], 1, (1,), ()),
        (2.5, 1, (), ()),
    ]:
        given = as_rows(value, columns)
        assert given.array.shape == (len(given), columns)
        assert (given.batch, given.event) == (batch, event)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.ones((4, 5)), r"x has 5 columns, this flow has dim 3"),
        (np.ones(4), r"x has 4 columns, this flow has dim 3"),
        (np.ones((2, 3, 4)), r"x has shape \(2, 3, 4\), expected \(n, 3\) or \(3,\)"),
        (2.5, r"x has shape \(\), expected"),
    ],
)
def test_wrong_shapes_are_named(x, text):
    with pytest.raises(ShapeError, match=text):
        as_rows(x)


@pytest.mark.parametrize("x", [np.ones((2, 3), complex), np.array([["a", "b", "c"]]), np.zeros(3, "M8[s]")])
def test_only_real_numbers(x):
    with pytest.raises(TypeError, match="x must hold real numbers, not"):
        as_rows(x)


def test_context():
    assert context_rows(None, 0, 5, F32) is None
    assert len(context_rows(np.ones((5, 2)), 2, 5, F32)) == 5
    assert len(context_rows(np.ones((1, 2)), 2, 5, F32)) == 1
    assert len(context_rows(np.ones(2), 2, 5, F32)) == 1
    assert len(context_rows(2.5, 1, 5, F32)) == 1
    assert len(context_rows(np.ones(5), 1, 5, F32)) == 5
    assert context_rows(np.ones((5, 2)), 2, 5, F32).dtype == F32
    with pytest.raises(ValueError, match="context is missing: this flow has context_dim 2"):
        context_rows(None, 2, 5, F32)
    with pytest.raises(ValueError, match="context given, but this flow has context_dim 0"):
        context_rows(np.ones((5, 2)), 0, 5, F32)
    with pytest.raises(ValueError, match="context has 4 columns, this flow has context_dim 2"):
        context_rows(np.ones((5, 4)), 2, 5, F32)
    with pytest.raises(ValueError, match="context has 4 rows, x has 5"):
        context_rows(np.ones((4, 2)), 2, 5, F32)


def test_whole_numbers_do_not_wrap():
    assert integer(np.int8(3), "n", 0) == 3
    assert seed64(2**64 - 1) == 2**64 - 1
    for bad in -1, 2**64:
        with pytest.raises(ValueError, match="seed must be from 0 to"):
            seed64(bad)
    with pytest.raises(TypeError):
        integer(1.5, "n", 0)


def test_choices_are_named():
    assert choice("tanh", _abi.ACTIVATIONS, "activation") == 2
    with pytest.raises(ValueError, match=r"activation must be one of 'relu', .*, not 'rely'"):
        choice("rely", _abi.ACTIVATIONS, "activation")
    with pytest.raises(ValueError, match="order must be one of 'natural', 'reversed', 'random', not 'given'"):
        choice("given", _abi.ORDERS, "order")


def test_buffers_refuse_what_c_would_misread():
    x = np.ones((3, 4), np.float32)
    assert _abi.Float32s.from_param(None) is None
    assert _abi.Float32s.from_param(x)._as_parameter_.value == x.ctypes.data
    for bad in x.T, x.astype(np.float64), x.astype(">f4"), x.tolist(), x.ctypes.data:
        with pytest.raises(TypeError, match="expected a C-contiguous float32 array"):
            _abi.Float32s.from_param(bad)
