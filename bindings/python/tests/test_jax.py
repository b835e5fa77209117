"""Flows inside JAX: under jit, grad and vmap."""

import os
import subprocess
import sys
import threading

import diffeo
import numpy as np
import pytest
from diffeo.errors import InvalidArgumentError, ShapeError

jax = pytest.importorskip("jax", reason="JAX is not installed")

jax.config.update("jax_enable_x64", True)

import diffeo.jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

needs_ffi = pytest.mark.skipif(
    diffeo.jax.default_calls().kind != "ffi", reason=f"no custom calls of XLA: {diffeo.jax.default_calls().why}"
)
BOTH = [pytest.param("ffi", marks=needs_ffi), "callback"]


def a_flow(context_dim=0, dtype="float64", **options):
    return diffeo.maf(
        3, transforms=2, hidden=(7,), activation="tanh", context_dim=context_dim, dtype=dtype, seed=2, **options
    )


@pytest.fixture(params=BOTH)
def calls(request):
    return request.param


@pytest.fixture(params=[0, 2], ids=["plain", "conditional"])
def made(request, calls):
    flow = a_flow(request.param)
    context = np.random.default_rng(4).normal(size=(5, 2)) if request.param else None
    return diffeo.jax.Flow(flow, calls=calls), context


def test_values_are_those_of_the_flow(made):
    flow, context = made
    x = np.random.default_rng(1).normal(size=(5, 3))
    plain = flow.flow(flow.weights)
    assert np.array_equal(jax.jit(flow.log_prob)(flow.weights, x, context), plain.log_prob(x, context))
    z, log_det = jax.jit(flow.to_noise)(flow.weights, x, context)
    assert np.array_equal(z, plain.to_noise(x, context)[0])
    back, _ = flow.from_noise(flow.weights, z, context)
    assert np.allclose(back, x)
    assert log_det.shape == (5,)


def test_gradients(made):
    flow, context = made
    x = np.random.default_rng(1).normal(size=(5, 3))
    given = () if context is None else (context,)
    for function in (flow.log_prob, flow.to_noise, flow.from_noise):
        check_grads(
            function, (flow.weights, x, *given), order=1, modes=["rev"], rtol=1e-5, atol=1e-5, eps=1e-6
        )  # fmt: skip
    key = jax.random.key(3)
    check_grads(
        lambda w, *c: flow.sample_and_log_prob(w, key, 5, *c),
        (flow.weights, *given),
        order=1, modes=["rev"], rtol=1e-5,
        atol=1e-5, eps=1e-6,
    )  # fmt: skip


def test_vmap_and_training(calls):
    flow = diffeo.jax.Flow(diffeo.realnvp(2, transforms=3, hidden=(16,), seed=1), calls=calls)
    x = jnp.asarray(np.random.default_rng(2).normal(size=(256, 2)) @ [[1.0, 0.9], [0.0, 0.3]], jnp.float32)
    one_by_one = jax.vmap(lambda row: flow.log_prob(flow.weights, row))(x[:6])
    assert np.allclose(one_by_one, flow.log_prob(flow.weights, x[:6]))
    step = jax.jit(lambda w: w - 0.02 * jax.grad(lambda w: -flow.log_prob(w, x).mean())(w))
    weights = flow.weights
    before = flow.log_prob(weights, x).mean()
    for _ in range(40):
        weights = step(weights)
    assert flow.log_prob(weights, x).mean() > before + 0.3
    a = flow.sample(weights, jax.random.key(1), 100)
    assert np.array_equal(a, flow.sample(weights, jax.random.key(1), 100))
    assert not np.array_equal(a, flow.sample(weights, jax.random.key(2), 100))


def test_wrong_shapes(made):
    flow, context = made
    with pytest.raises(ShapeError, match="dim 3"):
        flow.log_prob(flow.weights, jnp.zeros((4, 2)), context)
    with pytest.raises(ShapeError, match="context"):
        flow.log_prob(flow.weights, jnp.zeros((4, 3)), None if context is not None else jnp.zeros((4, 1)))


# ------------------------------------------------------------------------------------- custom calls and callbacks


def leaves(found):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(found)]


@pytest.fixture(params=["float32", "float64"])
def pair(request):
    """A conditional flow by a custom call and by a callback, weights that moved, rows, a context for each."""
    flow = a_flow(2, request.param)
    flows = [diffeo.jax.Flow(flow, calls=calls) for calls in ("ffi", "callback")]
    rng = np.random.default_rng(3)
    x, context = rng.normal(size=(700, 3)), rng.normal(size=(700, 2))
    weights = flows[0].weights + 0.01 * jnp.asarray(rng.normal(size=flows[0].weights.shape), flow.dtype)
    return *flows, weights, jnp.asarray(x), jnp.asarray(context)


def losses(flow):
    """A loss of each function, whose gradient needs all of what it gives."""
    key = jax.random.key(7)

    def mixed(values, logs):
        return (values * jnp.cos(values)).sum() + (logs * jnp.arange(1.0, 1.0 + len(logs))).mean()

    return [
        lambda w, x, c: flow.log_prob(w, x, c).mean(),
        lambda w, x, c: mixed(*flow.to_noise(w, x, c)),
        lambda w, x, c: mixed(*flow.from_noise(w, x, c)),
        lambda w, x, c: mixed(*flow.sample_and_log_prob(w, key, len(x), c)),
        lambda w, x, c: flow.to_noise(w, x, c)[0].sum() + flow.sample(w, key, len(x), c).sum(),  # of values alone
        lambda w, x, c: flow.from_noise(w, x, c)[1].sum(),  # ... and of logarithms
    ]


@needs_ffi
@pytest.mark.parametrize(
    ("which", "by"), [*((which, (0, 1, 2)) for which in range(6)), *((0, by) for by in range(3)), (3, 0), (3, 2)]
)
def test_both_kinds_of_call_have_the_same_bits(pair, which, by):
    ours, theirs, *operands = pair
    function, other = (jax.jit(jax.value_and_grad(losses(flow)[which], by)) for flow in (ours, theirs))
    for a, b in zip(leaves(function(*operands)), leaves(other(*operands)), strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)


@needs_ffi
def test_both_kinds_of_call_have_the_same_bits_under_vmap(pair):
    ours, theirs, weights, x, context = pair
    several = jnp.stack([weights, weights + 0.01, weights - 0.01])
    keys = jax.random.split(jax.random.key(1), 3)

    def found(flow):
        by_row = jax.vmap(lambda row, given: flow.log_prob(weights, row, given))(x[:9], context[:9])
        by_context = jax.vmap(lambda given: flow.to_noise(weights, x[:5], given))(context[:4])
        by_weights = jax.vmap(lambda w: flow.log_prob(w, x[:5], context[0]))(several)
        nested = jax.vmap(lambda w: jax.vmap(lambda row: flow.log_prob(w, row, context[0]))(x[:5]))(several)
        score = jax.vmap(jax.grad(lambda row, given: flow.log_prob(weights, row, given)))(x[:9], context[:9])
        each = jax.vmap(jax.grad(lambda w, row: flow.log_prob(w, row, context[0])), (None, 0))(weights, x[:5])
        drawn = jax.vmap(lambda key: flow.sample_and_log_prob(weights, key, 4, context[0]))(keys)
        of_drawn = jax.vmap(jax.grad(lambda w, key: flow.sample(w, key, 4, context[0]).sum()), (0, 0))(several, keys)
        scattered = jax.vmap(lambda row: flow.log_prob(weights, row, context[:3]), in_axes=1, out_axes=1)(
            x[:9].T[:, :4]
        )
        return by_row, by_context, by_weights, nested, score, each, drawn, of_drawn, scattered

    one_by_one = [ours.log_prob(weights, x[i], context[i]) for i in range(9)]
    assert np.array_equal(found(ours)[0], np.stack(one_by_one))
    for a, b in zip(leaves(jax.jit(lambda: found(ours))()), leaves(found(theirs)), strict=True):
        assert np.array_equal(a, b)


@needs_ffi
def test_flows_of_float64_without_x64():
    rows = np.random.default_rng(1).normal(size=(700, 3)).astype(np.float32)

    def found(calls):
        flow = diffeo.jax.Flow(a_flow(dtype="float64"), calls=calls)
        return leaves(jax.value_and_grad(lambda w, x: flow.log_prob(w, x).mean(), (0, 1))(flow.weights, rows))

    with jax.enable_x64(False):
        for a, b in zip(found("ffi"), found("callback"), strict=True):
            assert a.dtype == b.dtype == np.float32
            assert np.array_equal(a, b)


@pytest.mark.parametrize("by", [0, 1, 2])
def test_nothing_is_made_that_is_not_wanted(calls, by):
    flow = diffeo.jax.Flow(a_flow(2), calls=calls)
    gradient = jax.grad(lambda w, x, c: flow.log_prob(w, x, c).sum(), by)
    rows = (flow.weights, jnp.zeros((5, 3)), jnp.zeros((5, 2)))
    calls_in_it = [each for each in jax.make_jaxpr(gradient)(*rows).eqns if "call" in str(each.primitive)]
    shapes = [tuple(out.aval.shape for out in each.outvars) for each in calls_in_it if len(each.invars) > 3]
    assert shapes == [(rows[by].shape,)]


def test_no_rows(made):
    flow, context = made
    given = () if context is None else (context[:0],)
    value, gradients = jax.value_and_grad(lambda w, x, *c: flow.log_prob(w, x, *c).sum(), (0, 1))(
        flow.weights, jnp.zeros((0, 3)), *given
    )
    assert value == 0
    assert np.array_equal(gradients[0], np.zeros_like(flow.weights))
    assert gradients[1].shape == (0, 3)
    assert flow.sample(flow.weights, jax.random.key(1), 0, *given).shape == (0, 3)


def test_errors_have_the_sentence_of_the_library(made):
    flow, context = made
    weights = flow.weights.at[0].set(jnp.nan)
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"parameter \d+ is nan"):
        jax.block_until_ready(jax.jit(flow.log_prob)(weights, jnp.zeros((5, 3)), context))
    assert np.isfinite(flow.log_prob(flow.weights, jnp.zeros((5, 3)), context)).all()


def test_what_has_no_derivative_says_so(calls):
    flow = diffeo.jax.Flow(diffeo.made(3, conditional="bernoulli", hidden=(7,)), calls=calls)
    with pytest.raises(jax.errors.JaxRuntimeError, match="0 or 1: they have no derivative"):
        jax.block_until_ready(jax.grad(lambda w: flow.sample(w, jax.random.key(1), 5).sum())(flow.weights))


@pytest.mark.parametrize("wanted", ["x", 1])
def test_unknown_calls(wanted):
    with pytest.raises(InvalidArgumentError, match="calls must be one of 'ffi', 'callback', not"):
        diffeo.jax.Flow(a_flow(), calls=wanted)


@needs_ffi
def test_a_computation_outlives_its_flow():
    x = jnp.ones((5, 3))

    def compiled():
        flow = diffeo.jax.Flow(a_flow(), calls="ffi")
        return flow.weights, jax.jit(flow.log_prob).lower(flow.weights, x).compile()

    weights, function = compiled()
    flow = a_flow()
    assert np.array_equal(function(weights, x), flow.log_prob(np.asarray(x)))
    rows = np.random.default_rng(1).normal(size=(200_000, 3))
    late = diffeo.jax.Flow(flow).log_prob(weights, rows)  # may be at work when the flow is gone
    assert np.array_equal(late, flow.log_prob(rows))


@needs_ffi
def test_calls_from_many_threads(pair):
    ours, theirs, weights, x, context = pair
    expected = np.asarray(theirs.log_prob(weights, x, context))
    function, wrong = jax.jit(ours.log_prob), []

    def work(number):
        diffeo.set_num_threads(1 + number % 3)
        for i in range(50):
            moved = weights if i % 2 else weights + 0.01
            found = np.asarray(function(moved, x, context))
            if i % 2 and not np.array_equal(found, expected):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


# ------------------------------------------------------------------------------------------ compiling, or not

PROGRAM = """
import diffeo, diffeo.jax, jax, sys
calls = diffeo.jax.default_calls()
flow = diffeo.jax.Flow(diffeo.maf(2, hidden=(7,)))
print(flow.calls, jax.jit(flow.log_prob)(flow.weights, [[0.5, 1.0]])[0], calls.why, sep="|")
try:
    diffeo.jax.Flow(diffeo.maf(2, hidden=(7,)), calls="ffi")
except diffeo.Error as error:
    print(error)
"""


def run(**environment):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def expected_value():
    return str(diffeo.maf(2, hidden=(7,)).log_prob(np.float32([[0.5, 1.0]]))[0])


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"PATH": "/nowhere", "CXX": ""}, "there is no C++ compiler: no c++, g++ or clang++, nor is CXX set"),
        ({"CXX": "/nowhere/c++"}, "No such file or directory: '/nowhere/c++'"),
        ({"CXX": "false"}, "false ended with 1"),
    ],
    ids=["none", "missing", "failing"],
)
def test_without_a_compiler_there_are_callbacks(tmp_path, environment, why):
    said = run(XDG_CACHE_HOME=str(tmp_path), **environment)
    first, error = said.splitlines()
    assert first.startswith(f"callback|{expected_value()}|")
    assert why in first
    assert error.startswith("there are no custom calls of XLA: ")
    assert why in error


@needs_ffi
def test_it_is_compiled_once_whoever_is_first(tmp_path):
    """By processes that start together, and anew where the file is damaged."""
    command = [sys.executable, "-c", PROGRAM]
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    started = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {each.communicate()[0] for each in started}
    (path,) = (tmp_path / "diffeo").iterdir()
    assert said == {f"ffi|{expected_value()}|{path}\n"}
    assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0
    before = path.stat().st_mtime_ns
    assert run(XDG_CACHE_HOME=str(tmp_path), CXX="false") == said.pop()
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"damaged")
    assert run(XDG_CACHE_HOME=str(tmp_path)).startswith("ffi|")


def test_images(calls):
    made = diffeo.glow_image((2, 2, 2), levels=1, steps=1, hidden=(4,), activation="tanh", quantization=0,
                             context_dim=2, dtype="float64")  # fmt: skip
    flow = diffeo.jax.Flow(made, calls=calls)
    rng = np.random.default_rng(1)
    weights = flow.weights + 0.2 * rng.normal(size=flow.weights.shape)
    x, context = rng.normal(size=(3, 1, 2, 2, 2)), rng.normal(size=(4, 2))
    plain = flow.flow(weights)
    each = np.broadcast_to(x, (3, 4, 2, 2, 2)).reshape(12, 2, 2, 2), np.tile(context, (3, 1))
    np.testing.assert_array_equal(flow.log_prob(weights, x, context), plain.log_prob(*each).reshape(3, 4))
    z, log_det = jax.jit(flow.to_noise)(weights, x, context)
    np.testing.assert_array_equal(z, plain.to_noise(*each)[0].reshape(3, 4, 2, 2, 2))
    assert log_det.shape == (3, 4)
    np.testing.assert_allclose(flow.from_noise(weights, z, context)[0], np.broadcast_to(x, z.shape), rtol=1e-9)
    samples, log_prob = flow.sample_and_log_prob(weights, jax.random.key(1), 5, context[0])
    assert samples.shape == (5, 2, 2, 2)
    np.testing.assert_allclose(log_prob, plain.log_prob(samples, context[0]), rtol=1e-9)
    check_grads(lambda w, x: flow.log_prob(w, x, context), (weights, x), order=1, modes=["rev"])
    with pytest.raises(ShapeError, match=r"x has shape \(3, 2, 2, 4\), this flow has shape \(2, 2, 2\)"):
        flow.log_prob(weights, np.zeros((3, 2, 2, 4)), context)
