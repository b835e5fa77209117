"""What people hand over that is not quite a flow: wrappers, parts, other types.

Needs the libraries: make test-exchange.
"""

import itertools
import warnings

import diffeo
import numpy as np
import pytest
from diffeo.exchange import ConversionError

torch = pytest.importorskip("torch")
nflows = pytest.importorskip("nflows")
zuko = pytest.importorskip("zuko")
from nflows.distributions import StandardNormal  # noqa: E402
from nflows.flows import Flow, MaskedAutoregressiveFlow  # noqa: E402
from nflows.transforms import LULinear, MaskedAffineAutoregressiveTransform  # noqa: E402


class Holder(torch.nn.Module):
    """As a Lightning module or an estimator holds its flow."""

    def __init__(self, *flows):
        super().__init__()
        self.loss = torch.nn.Linear(2, 1)
        for name, flow in zip(("flow", "other"), flows, strict=False):
            setattr(self, name, flow)


class Posterior:
    """No module, but it has one."""

    def __init__(self, net):
        self.net = net


def maf():
    return zuko.flows.MAF(3, transforms=1, hidden_features=(4,))


def made_by_nflows():
    return MaskedAutoregressiveFlow(3, 4, 1, 1)


@pytest.mark.parametrize("library", ["nflows", "zuko"])
def test_whatever_torch_is_set_to(library):
    """The caller's default device, default dtype and autocast have nothing to say."""
    torch.manual_seed(0)
    theirs = maf() if library == "zuko" else made_by_nflows()
    expected, x = diffeo.convert(theirs), np.linspace(-1, 1, 6).reshape(2, 3)
    try:
        torch.set_default_device("meta")
        torch.set_default_dtype(torch.bfloat16)
        with torch.autocast("cpu"), torch.inference_mode():
            flow = diffeo.convert(theirs)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(flow.log_prob(x), expected.log_prob(x))
    assert diffeo.exchange.report(flow).source_float32 < 1e-5


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda: Holder(maf()), r"Holder\): it is no flow itself, but has one at \.flow: convert\(that\.flow\)"),
        (lambda: Posterior(Holder(made_by_nflows())), r"has one at \.net\.flow"),
        (lambda: torch.nn.ModuleList([maf()]), r"convert\(that\[0\]\)"),
        (lambda: Holder(maf(), maf()), r"has some at \.flow, \.other"),
        (lambda: Holder(), "a flow of none of nflows, zuko"),
        (lambda: Holder(LULinear(3), StandardNormal([3])), r"parts of nflows, \.flow \(LULinear\), \.other"),
        (lambda: torch.nn.DataParallel(Holder(maf())), r"Holder\): .* at \.flow"),
        (lambda: maf()(), "only a lazy flow is converted"),
        (lambda: maf().transform, "only a lazy flow is converted"),
        (lambda: made_by_nflows()._transform, "only a whole Flow is converted"),
        (lambda: made_by_nflows()._distribution, "only a whole Flow is converted"),
        (lambda: torch.distributions.Normal(0.0, 1.0), "only a TransformedDistribution is converted"),
        (lambda: zuko.flows.MAF, "it is a class: hand over a flow"),
        (lambda: "flow.pt", "it is a path: load the flow with its library"),
        (lambda: maf().state_dict(), r"it has weights and does not say of what: .* \(load_state_dict\)"),
        (lambda: [maf(), maf()], r"it has objects at \[0\], \[1\]: convert\(that\[0\]\) and so on"),
        (lambda: {"epoch": 3, "flow": maf()}, r"it has objects at \['flow'\]: convert\(that\['flow'\]\)$"),
        (lambda: torch.jit.script(torch.nn.Linear(2, 2)), "hand over the module that was scripted"),
        (lambda: diffeo.maf(3), "it is Diffeo's own"),
        (lambda: maf().to("meta"), "its weights are on the device meta, without numbers"),
        (lambda: made_by_nflows().to(torch.complex64), "its weights are complex numbers"),
    ],
)
def test_what_is_no_flow(given, reason):
    with pytest.raises(ConversionError, match=reason):
        diffeo.convert(given())


class Estimator(torch.nn.Module):
    """As sbi, dingo and many others have it: a flow, what makes its context, and a density of their own."""

    def __init__(self, net, embedding=None, **more):
        super().__init__()
        self.net, self._embedding_net = net, embedding
        for name, part in more.items():
            setattr(self, name, part) if not hasattr(part, "shape") else self.register_buffer(name, part)

    def log_prob(self, x, context):
        given = context if self._embedding_net is None else self._embedding_net(context)
        return self.net(given).log_prob(x)


class Scaled(Estimator):
    def log_prob(self, x, context):
        return super().log_prob(x / self.scale, context) - 3 * self.scale.log()


def conditional_maf():
    torch.manual_seed(0)
    return zuko.flows.MAF(3, 4, transforms=1, hidden_features=(5,))


@pytest.mark.parametrize("name", ["identity", "standardize", "batch norm", "linear", "two"])
def test_estimators_are_taken_whole(name):
    make, width = EMBEDDINGS[name]
    torch.manual_seed(1)
    theirs = Estimator(conditional_maf(), make(), loss=torch.nn.Linear(2, 1)).double().eval()
    flow = diffeo.convert(theirs)
    x, context = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, width, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs.log_prob(x, context)
    np.testing.assert_allclose(flow.log_prob(x.numpy(), context.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)
    assert diffeo.exchange.report(flow).source == "test_given: Estimator"


class Guide(torch.nn.Module):
    """As lampe's guide embeds conditions: what it gives is no `log_prob`."""

    def __init__(self, embedding):
        super().__init__()
        self.npe, self.embedding = zuko.flows.NSF(3, 2, transforms=1, hidden_features=(4,)), embedding


class Distribution(Guide):
    def forward(self, x):
        return self.npe(self.embedding(x))


class Density(Guide):
    def forward(self, theta, x):
        return self.npe(self.embedding(x)).log_prob(theta)


class Likelihood(Guide):
    def forward(self, x, theta):
        return self.npe(self.embedding(x)).log_prob(theta)


class Loss(Guide):
    def forward(self, theta, x):
        return -self.npe(self.embedding(x)).log_prob(theta)


def small_embedding():
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ELU(), torch.nn.Linear(6, 2))


@pytest.mark.parametrize("kind", [Distribution, Density, Likelihood])
def test_holders_that_are_called(kind):
    torch.manual_seed(0)
    theirs = kind(small_embedding()).double().eval()
    flow = diffeo.convert(theirs)
    x, context = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs.npe(theirs.embedding(context)).log_prob(x)
    np.testing.assert_allclose(flow.log_prob(x.numpy(), context.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)


def test_embeddings_of_holders():
    """Those of a class of their own, without an activation at their end, and what is said of others."""
    torch.manual_seed(0)
    theirs = Density(Chain(LINEAR(4, 6), torch.nn.ELU(), LINEAR(6, 2))).double().eval()
    flow = diffeo.convert(theirs)
    assert flow.context_dim == 4
    x, context = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs(x, context)
    np.testing.assert_allclose(flow.log_prob(x.numpy(), context.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)
    refused = Density(Chain(LINEAR(4, 6), torch.nn.ELU(), LINEAR(6, 2), torch.nn.LayerNorm(2)))
    with pytest.raises(ConversionError, match=r"^embedding \(Chain\): it ends with a layer norm.* give the flow"):
        diffeo.convert(refused)


def test_what_gives_another_number_is_no_density():
    with pytest.raises(ConversionError, match=r"at \.npe: .*, which leaves out what it has besides, embedding"):
        diffeo.convert(Loss(small_embedding()))


@pytest.mark.parametrize("held", [lambda theirs: Posterior(theirs), lambda theirs: torch.nn.ModuleList([theirs])])
def test_advice_names_what_is_whole(held):
    with pytest.raises(ConversionError, match=r"has one at (\.net|\[0\]): convert\(that(\.net|\[0\])\)$"):
        diffeo.convert(held(Estimator(conditional_maf(), standardize())))


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (lambda: Holder(maf()), r"convert\(that\.flow\), which leaves out what it has besides, loss \(Linear\)$"),
        (
            lambda: Scaled(conditional_maf(), standardize(), scale=torch.tensor(2.0)),
            r"density is not that of the flow that it has at \.net, .* it has scale, _embedding_net \(Standardize\)$",
        ),
        (
            lambda: Estimator(conditional_maf(), torch.nn.Sequential(torch.nn.Conv1d(1, 1, 1), torch.nn.Tanh())),
            r"_embedding_net \(Sequential\)",
        ),
    ],
)
def test_what_else_a_holder_has_is_named(theirs, reason):
    with pytest.raises(ConversionError, match=reason):
        diffeo.convert(theirs())


@pytest.mark.parametrize(
    ("package", "name", "reason"),
    [
        ("pzflow.flowEnsemble", "FlowEnsemble", "only a Flow is converted, such as one of the _ensemble"),
        ("flowMC.resource.model.flowmatching.base", "FlowMatchingModel", "only a RealNVP or a MaskedCouplingRQSpline"),
        ("margarine.estimators.clustered", "cluster", "of a clustered one, each of its .estimators"),
        ("harmonic.model", "FlowModel", "only an RQSplineModel or a RealNVPModel"),
        ("bayesflow.approximators", "ContinuousApproximator", "the inference_network of an approximator"),
    ],
)
def test_clients_that_are_refused_by_name(package, name, reason):
    with pytest.raises(ConversionError, match=rf"the flow \({name}\): .*{reason}"):
        diffeo.convert(type(name, (), {"__module__": package})())


def test_copies_of_pytorch_flows():
    """Known by the names of the classes; a batch normalisation that was not is refused by its name."""

    class FlowSequential(torch.nn.Sequential):
        def log_probs(self, x, context=None):
            return x.sum(dim=1)

    class Unknown(torch.nn.Module):
        pass

    with pytest.raises(ConversionError, match=r"0 \(\S*Unknown\): Diffeo has no layer for it"):
        diffeo.convert(FlowSequential(Unknown()))


@pytest.mark.parametrize("bounded", [False, True])
def test_estimates_of_denmarf(bounded):
    """With the logit of their intervals; denmarf itself says densities in float32."""
    density = pytest.importorskip("denmarf.density")
    torch.manual_seed(0)
    theirs = density.DensityEstimate(device="cpu", bounded=bounded)
    with pytest.raises(ConversionError, match="it has no model yet"):
        diffeo.convert(theirs)
    theirs.model = theirs.construct_model(3, 2, 8).eval()
    low, high = np.array([-1.0, 0.0, 100.0]), np.array([1.0, 5.0, 300.0])
    if bounded:
        theirs.transformation = density.LogitTransform(low, high)
    flow = diffeo.convert(theirs, dtype="float64")
    x = flow.sample(40, seed=1)
    assert not bounded or ((x > low) & (x < high)).all()
    inside = (np.minimum(x - low, high - x) / (high - low)).min(axis=1) > 0.01 if bounded else np.ones(40, bool)
    assert inside.sum() > 10
    with torch.no_grad():
        np.testing.assert_allclose(flow.log_prob(x[inside]), theirs.score_samples(x[inside]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("first", ["inputs", "context"])
def test_networks_that_add_the_context(first):
    """Two matrices before the first activation, of the inputs and of the context, made in either order."""
    from nflows.transforms import AffineCouplingTransform

    class Adding(torch.nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            for name in (first, "context" if first == "inputs" else "inputs"):
                setattr(self, name, torch.nn.Linear(inputs if name == "inputs" else 3, 8))
            self.last = torch.nn.Sequential(
                torch.nn.Tanh(), torch.nn.Linear(8, 7), torch.nn.Tanh(), torch.nn.Linear(7, outputs)
            )

        def forward(self, x, context=None):
            return self.last(self.inputs(x) + self.context(context))

    theirs = Flow(AffineCouplingTransform(torch.tensor([1, 0, 1, 0]), Adding), StandardNormal([4])).double()
    flow = diffeo.convert(theirs)
    assert flow.context_dim == 3
    x, context = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs.log_prob(x, context)
    np.testing.assert_allclose(flow.log_prob(x.numpy(), context.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)


def test_what_a_library_cannot_compute_itself():
    """Its own log_prob raises for whatever rows."""
    from nflows.distributions.uniform import BoxUniform

    with pytest.raises(ConversionError, match=r"nflows itself cannot compute it: .*'context'"):
        diffeo.convert(Flow(LULinear(3), BoxUniform(torch.zeros(3), torch.ones(3))))


def test_weights_that_no_flow_can_have():
    from nflows.transforms import NaiveLinear

    singular = NaiveLinear(3, orthogonal_initialization=False)
    singular._weight.data.zero_()
    with pytest.raises(ConversionError, match="its parts cannot be read: the matrix is singular"):
        diffeo.convert(Flow(singular, StandardNormal([3])))


def test_mixtures_of_a_made():
    """Of one that is made for a context of no columns."""
    from flows import randomise
    from nflows.distributions.mixture import MADEMoG

    theirs = randomise(Flow(LULinear(3), MADEMoG(3, 8, 0, num_mixture_components=2)), 1)
    x = torch.randn(20, 3, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs.log_prob(x)
    np.testing.assert_allclose(diffeo.convert(theirs).log_prob(x.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)


def test_angles_that_others_depend_on():
    """Ours reads cosines and sines of the columns of a layer whose splines are circular."""
    nf = pytest.importorskip("normflows")
    parts = [
        nf.flows.CircularCoupledRationalQuadraticSpline(2, 1, 8, [1], reverse_mask=turned, tail_bound=3.0)
        for turned in (False, True)
    ]
    with pytest.raises(ConversionError, match=r"flows\.\d\.prqct.transform_net .*: it reads angles, and the columns"):
        diffeo.convert(nf.NormalizingFlow(nf.distributions.UniformGaussian(2, [1]), parts))


def test_bounds_of_angles_in_float32():
    """Of a tensor of bounds pi / bound is made in float32: what it rounds is taken."""
    nf = pytest.importorskip("normflows")
    torch.manual_seed(0)
    ends = torch.tensor([3.3, 3.3])
    part = nf.flows.CircularAutoregressiveRationalQuadraticSpline(2, 1, 8, [0, 1], tail_bound=ends, init_identity=False)
    assert (
        diffeo.exchange.report(
            diffeo.convert(nf.NormalizingFlow(nf.distributions.UniformGaussian(2, [0, 1], 2 * ends), [part]))
        ).float64
        < 1e-12
    )


def test_named_functions_say_the_same():
    with pytest.raises(ConversionError, match=r"has one at \.flow"):
        diffeo.exchange.from_zuko(Holder(maf()))
    with pytest.raises(ConversionError, match="only a lazy flow is converted"):
        diffeo.exchange.from_zuko(made_by_nflows())


@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, torch.compile])
def test_wrappers_of_torch(wrap):
    flow = made_by_nflows()
    x = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_array_equal(diffeo.convert(wrap(flow)).log_prob(x), diffeo.convert(flow).log_prob(x))


@pytest.mark.parametrize("context", [0, 2])
def test_a_base_by_itself(context):
    theirs = zuko.flows.GMM(3, context, components=4, covariance_type="diagonal", **{"epsilon": 0.0} if context else {})
    flow = diffeo.convert(theirs, dtype="float64")
    x, c = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs.double()(c if context else None).log_prob(x).numpy()
    np.testing.assert_allclose(flow.log_prob(x.numpy(), c.numpy() if context else None), expected, rtol=1e-10)


def subnet(inputs, outputs):
    return torch.nn.Sequential(torch.nn.Linear(inputs, 8), torch.nn.LeakyReLU(), torch.nn.Linear(8, outputs))


def graph(*parts, dim=5, context=0):
    """A GraphINN of blocks of FrEIA one after the other; those that take a condition are marked by it."""
    framework, modules = (pytest.importorskip("FrEIA.framework"), pytest.importorskip("FrEIA.modules"))
    torch.manual_seed(0)
    nodes = [framework.InputNode(*np.atleast_1d(dim).tolist(), name="input")]
    conditions = [framework.ConditionNode(context)] if context else []
    for name, words in parts:
        given = conditions if "Coupling" in name or "AllInOne" in name else []
        nodes.append(framework.Node(nodes[-1], getattr(modules, name), words, conditions=given))
    return framework.GraphINN([*nodes, *conditions, framework.OutputNode(nodes[-1])], verbose=False)


def matrix(size):
    return torch.eye(size) + 0.3 * torch.randn(size, size)


CONVOLUTIONS = {
    "subnet_constructor": lambda i, o: torch.nn.Sequential(
        torch.nn.Conv2d(i, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(6, o, 1)
    )
}
GRAPHS = {
    "scaled": lambda: graph(
        ("FixedLinearTransform", {"M": torch.diag(torch.tensor([0.3, 2.0, 1.0, 0.5, 4.0])), "b": torch.randn(5)}),
        ("PermuteRandom", {"seed": 1}),
        ("GLOWCouplingBlock", {"subnet_constructor": subnet, "clamp": 2.5, "split_len": 2}),
        ("PermuteRandom", {"seed": 2}),
        ("GLOWCouplingBlock", {"subnet_constructor": subnet, "clamp": 2.5, "split_len": 2}),
        context=3,
    ),
    "matrix": lambda: graph(
        ("FixedLinearTransform", {"M": matrix(5)}), ("AllInOneBlock", {"subnet_constructor": subnet}), context=2
    ),
    "reflections": lambda: graph(
        ("HouseholderPerm", {"n_reflections": 3}),
        ("RNVPCouplingBlock", {"subnet_constructor": subnet}),
        ("HouseholderPerm", {"n_reflections": 2, "fixed": True}),
    ),
    "orthogonal": lambda: graph(("OrthogonalTransform", {}), ("NICECouplingBlock", {"subnet_constructor": subnet})),
    "sigmoid": lambda: graph(
        ("RNVPCouplingBlock", {"subnet_constructor": subnet}),
        ("InvertibleSigmoid", {}),
        ("FixedLinearTransform", {"M": 4 * torch.eye(5), "b": torch.full((5,), -2.0)}),
    ),
    "images": lambda: graph(
        ("Fixed1x1Conv", {"M": matrix(4)}), ("GLOWCouplingBlock", CONVOLUTIONS), dim=(4, 3, 2)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_that_are_chains(name):
    theirs = GRAPHS[name]().double()
    flow = diffeo.convert(theirs)
    width = flow.context_dim
    x, context = (torch.randn(6, *theirs.in_nodes[0].output_dims[0]).double(), torch.randn(6, width).double())
    with torch.no_grad():
        z, log_det = theirs(x, **({"c": context} if width else {}))
    noise, ours = flow.to_noise(x.numpy(), context.numpy() if width else None)
    np.testing.assert_allclose(noise, z.numpy().reshape(noise.shape), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours, log_det.numpy(), rtol=0, atol=1e-4)  # their determinants are rounded
    assert diffeo.exchange.report(flow).source == "FrEIA: GraphINN"
    with pytest.raises(ConversionError, match=r"it is no flow itself, but has one at \.net: convert\(that\.net\)"):
        diffeo.convert(Posterior(theirs))


def test_several_conditions():
    """Of FrEIA: the context has their columns side by side; a block reads one of them, or some in its own order."""
    framework, modules = (pytest.importorskip("FrEIA.framework"), pytest.importorskip("FrEIA.modules"))
    options = {"subnet_constructor": subnet}
    nodes = [framework.InputNode(4), framework.ConditionNode(2), framework.ConditionNode(3)]
    start, first, second = nodes
    for name, given in (("GLOWCoupling", [second, first]), ("RNVPCoupling", first), ("NICECoupling", [])):
        kind = f"{name}Block"
        nodes.append(framework.Node(start, getattr(modules, kind), options, conditions=given))
        start = nodes[-1]
    graph = framework.GraphINN([*nodes, framework.OutputNode(start)])
    sequence = framework.SequenceINN(4)
    for number, width, kind in ((2, 3, "AllInOneBlock"), (0, 2, "GLOWCouplingBlock"), (2, 3, "RNVPCouplingBlock")):
        sequence.append(getattr(modules, kind), cond=number, cond_shape=(width,), **options)
    a, b, x = (torch.randn(6, width).double() for width in (2, 3, 4))
    for theirs, parts in ((graph, [a, b]), (sequence, [a, None, b])):
        theirs.double()
        flow = diffeo.convert(theirs)
        assert flow.context_dim == 5
        with torch.no_grad():
            z, log_det = theirs(x, c=parts)
        noise, ours = flow.to_noise(x.numpy(), torch.cat([a, b], 1).numpy())
        np.testing.assert_allclose(noise, z.numpy(), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(ours, log_det.numpy(), rtol=0, atol=1e-4)


def test_graphs_that_are_none():
    framework, modules = (pytest.importorskip("FrEIA.framework"), pytest.importorskip("FrEIA.modules"))
    start = framework.InputNode(4)
    split = framework.Node(start, modules.Split, {})
    moved = framework.Node(split.out0, modules.PermuteRandom, {})
    joined = framework.Node([moved.out0, split.out1], modules.Concat, {})
    with pytest.raises(ConversionError, match="its Concat does not follow on PermuteRandom alone, as in a chain"):
        diffeo.convert(framework.GraphINN([start, split, moved, joined, framework.OutputNode(joined)]))
    block = framework.Node(start, modules.GLOWCouplingBlock, {"subnet_constructor": subnet})
    with pytest.raises(ConversionError, match="only a SequenceINN or a GraphINN is converted"):
        diffeo.convert(block.module)
    with pytest.raises(ConversionError, match=r"HouseholderPerm\): its matrix is made of a condition"):
        diffeo.convert(reflected())


def reflected():
    framework, modules = (pytest.importorskip("FrEIA.framework"), pytest.importorskip("FrEIA.modules"))
    made = framework.SequenceINN(4)
    made.append(modules.HouseholderPerm, cond=0, cond_shape=(8,), n_reflections=2)
    return made


@pytest.mark.parametrize("dtype", ["float64", "double", np.float64, np.dtype("float64"), torch.float64])
def test_dtypes(dtype):
    assert diffeo.convert(made_by_nflows(), dtype=dtype).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float16", "words", 5, np.int64, torch.float16])
def test_other_dtypes(dtype):
    with pytest.raises(ValueError, match="it must be float32 or float64"):
        diffeo.convert(made_by_nflows(), dtype=dtype)


def test_exporters_want_our_flows():
    for function in (diffeo.exchange.to_zuko, diffeo.exchange.to_nflows, diffeo.exchange.to_numpy):
        with pytest.raises(TypeError, match=r"not str: diffeo.load reads one from a file"):
            function("flow.h5")
        with pytest.raises(TypeError, match=r"not MAF, such as diffeo.convert gives"):
            function(maf())


def test_warnings_of_the_library_are_its_own():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        flow = diffeo.convert(Flow(LULinear(3, identity_init=False), StandardNormal([3])))
        diffeo.exchange.to_nflows(flow)


@pytest.mark.parametrize("direction", ["log_prob", "sample"])
def test_a_flow_that_keeps_its_matrices(direction):
    """Linear layers of nflows keep them in float32 once they have been evaluated, as nessai asks them to."""
    flow = Flow(LULinear(3, using_cache=True, identity_init=False), StandardNormal([3])).eval()
    x = torch.randn(4, 3)
    with torch.no_grad():
        flow.sample(1) if direction == "sample" else flow.log_prob(x)
        expected = flow.log_prob(x)
    np.testing.assert_allclose(diffeo.convert(flow).log_prob(x.numpy()), expected, rtol=1e-5)


class Standardize(torch.nn.Module):
    """As sbi does it."""

    def __init__(self, mean, std):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x):
        return (x - self.mean) / self.std


def standardize():
    return Standardize(torch.tensor([100.0, -0.2, 3.0, 0.5]), torch.tensor([2.0, 0.1, 30.0, 1.0]))


def batch_norm():
    norm = torch.nn.BatchNorm1d(4)
    norm.running_mean[:], norm.running_var[:], norm.weight.data[:] = torch.randn(4), torch.rand(4) + 0.5, 1.5
    return norm


EMBEDDINGS = {
    "identity": (lambda: torch.nn.Sequential(torch.nn.Identity()), 4),
    "standardize": (lambda: torch.nn.Sequential(standardize(), torch.nn.Identity()), 4),
    "batch norm": (lambda: torch.nn.Sequential(batch_norm(), torch.nn.Identity()), 4),
    "batch norm alone": (batch_norm, 4),
    "linear": (lambda: torch.nn.Linear(10, 4), 10),
    "fewer": (lambda: torch.nn.Linear(2, 4), 2),
    "negative": (lambda: Standardize(torch.ones(4), -torch.ones(4)), 4),
    "two": (lambda: torch.nn.Sequential(standardize(), torch.nn.Linear(4, 7), torch.nn.Linear(7, 4)), 4),
}


def conditional(kind, embedding):
    from nflows.distributions import ConditionalDiagonalNormal
    from nflows.nn.nets import ResidualNet
    from nflows.transforms import AffineCouplingTransform, CompositeTransform, MaskedAffineAutoregressiveTransform

    torch.manual_seed(0)
    if kind == "coupling":
        parts = [
            AffineCouplingTransform(
                torch.tensor([0, 1, 0]), lambda i, o: ResidualNet(i, o, 8, context_features=4, num_blocks=2)
            )
        ]
    else:
        words = {"use_residual_blocks": kind == "residual", "random_mask": False, "context_features": 4}
        parts = [MaskedAffineAutoregressiveTransform(3, 8, num_blocks=2, **words) for _ in range(2)]
    base = StandardNormal([3])
    if kind == "coupling":
        base = ConditionalDiagonalNormal([3], context_encoder=torch.nn.Linear(4, 6))
    return Flow(CompositeTransform(parts), base, embedding_net=embedding).double().eval()


@pytest.mark.parametrize("kind", ["coupling", "residual", "feed-forward"])
@pytest.mark.parametrize("name", EMBEDDINGS)
def test_affine_embeddings(kind, name):
    make, width = EMBEDDINGS[name]
    torch.manual_seed(1)
    theirs = conditional(kind, make())
    flow = diffeo.convert(theirs)
    assert flow.context_dim == width
    x, context = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, width, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs.log_prob(x, context)
    np.testing.assert_allclose(flow.log_prob(x.numpy(), context.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)


class Wrapped(torch.nn.Module):
    """A network whose code is its own."""

    def __init__(self, *parts):
        super().__init__()
        self.inside = torch.nn.ModuleList(parts)

    def forward(self, context):
        for part in self.inside:
            context = torch.nn.functional.silu(part(context))
        return context


class Resized(torch.nn.Module):
    """Residual blocks of several widths, as dingo has them."""

    def __init__(self):
        from nflows.nn.nets.resnet import ResidualBlock

        super().__init__()
        words = {"context_features": None, "activation": torch.nn.functional.elu, "dropout_probability": 0.1}
        self.initial_layer = torch.nn.Linear(5, 7)
        self.blocks = torch.nn.ModuleList([ResidualBlock(n, use_batch_norm=True, **words) for n in (7, 6, 6)])
        links = [torch.nn.Linear(7, 6), torch.nn.Identity(), torch.nn.Identity()]
        self.resize_layers = torch.nn.ModuleList(links)
        self.final_layer = torch.nn.Linear(6, 4)

    def forward(self, x):
        x = self.initial_layer(x)
        for block, resize in zip(self.blocks, self.resize_layers, strict=True):
            x = resize(block(x, context=None))
        return self.final_layer(x)


def residual():
    from nflows.nn.nets import ResidualNet

    return ResidualNet(5, 4, 6, num_blocks=2, activation=torch.tanh, use_batch_norm=True)


def wide_standardize():
    return Standardize(100 * torch.arange(1.0, 6), 10 * torch.arange(1.0, 6))


def chain(*parts):
    from torch import nn

    known = {"relu": nn.ReLU(), "tanh": nn.Tanh(), "gelu": nn.GELU(), "drop": nn.Dropout(0.5)}
    return nn.Sequential(*(known[part] if isinstance(part, str) else part for part in parts))


class Added(torch.nn.Module):
    """A residual block as lampe's ResMLP and many others have it."""

    def __init__(self, width, act=torch.nn.functional.silu, first=False):
        super().__init__()
        self.inner, self.outer = torch.nn.Linear(width, width), torch.nn.Linear(width, width)
        self.act, self.first = act, first

    def forward(self, x):
        return x + self.outer(self.act(self.inner(self.act(x) if self.first else x)))


class Chain(torch.nn.Sequential):
    """A class of its own, as zuko's MLP is."""


LINEAR = torch.nn.Linear
NETWORKS = {
    "hidden layer": lambda: chain(LINEAR(5, 6), "relu", LINEAR(6, 4)),
    "activated outputs": lambda: chain(LINEAR(5, 6), "tanh", "drop", LINEAR(6, 4), "tanh"),
    "standardised": lambda: chain(wide_standardize(), chain(LINEAR(5, 6), "gelu", LINEAR(6, 6), "gelu", LINEAR(6, 4))),
    "batch normalised": lambda: chain(
        torch.nn.BatchNorm1d(5), LINEAR(5, 6), torch.nn.BatchNorm1d(6), "relu", LINEAR(6, 4), torch.nn.BatchNorm1d(4)
    ),
    "layer normalised": lambda: chain(
        LINEAR(5, 6), torch.nn.LayerNorm(6), "relu", LINEAR(6, 7), torch.nn.LayerNorm(7), "relu", LINEAR(7, 4)
    ),
    "activation first": lambda: chain("tanh", LINEAR(5, 4)),
    "of its own": lambda: Wrapped(LINEAR(5, 6), LINEAR(6, 4)),
    "residual": residual,
    "standardised, residual, linear": lambda: chain(wide_standardize(), LINEAR(5, 5), residual(), LINEAR(4, 4)),
    "resized": Resized,
    "derived from Sequential": lambda: Chain(LINEAR(5, 6), torch.nn.ReLU(), LINEAR(6, 4)),
    "residual blocks": lambda: Chain(LINEAR(5, 6), Added(6), Added(6), LINEAR(6, 4), Added(4)),
    "residual blocks first": lambda: chain(Added(5, torch.tanh, True), Added(5, torch.tanh, True), LINEAR(5, 4)),
}


@pytest.mark.parametrize("kind", ["coupling", "residual", "feed-forward"])
@pytest.mark.parametrize("name", NETWORKS)
def test_embedding_networks(kind, name):
    from flows import randomise

    torch.manual_seed(2)
    theirs = randomise(conditional(kind, NETWORKS[name]()), 1)
    flow = diffeo.convert(theirs)
    assert flow.context_dim == 5
    assert "embedding  5 to 4 features" in str(flow)
    assert ("context  standardize" in str(flow)) == name.startswith("standardised")
    rows = torch.randn(6, 3, dtype=torch.float64)
    context = torch.randn(6, 5, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs.log_prob(rows, context)
    np.testing.assert_allclose(flow.log_prob(rows.numpy(), context.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("embedding", "reason"),
    [
        (lambda: torch.nn.Conv1d(1, 4, 3), r"_embedding_net \(Conv1d\): it "),
        (lambda: chain(LINEAR(5, 6), "relu", LINEAR(6, 6), "tanh", LINEAR(6, 4)), "several activations: relu and tanh"),
        (lambda: chain(LINEAR(5, 6), "relu", LINEAR(6, 4), torch.nn.LayerNorm(4)), "ends with a layer normalisation"),
        (
            lambda: chain(LINEAR(5, 6), torch.nn.LayerNorm(6), "relu", LINEAR(6, 6), "relu", LINEAR(6, 4)),
            "some of its layers are normalised and some are not",
        ),
        (lambda: chain(residual(), "relu", LINEAR(4, 4)), "an activation follows on residual blocks"),
    ],
)
def test_embeddings_that_are_refused(embedding, reason):
    with pytest.raises(ConversionError, match=reason):
        diffeo.convert(conditional("residual", embedding()))


@pytest.mark.parametrize("probability", [0.0, 0.3])
def test_dropout_of_residual_networks(probability):
    from nflows.nn.nets import ResidualNet
    from nflows.transforms import AffineCouplingTransform, CompositeTransform, MaskedAffineAutoregressiveTransform

    def net(inputs, outputs):
        return ResidualNet(inputs, outputs, 8, num_blocks=1, dropout_probability=probability)

    masked = MaskedAffineAutoregressiveTransform(3, 8, num_blocks=1, dropout_probability=probability)
    parts = [AffineCouplingTransform(torch.tensor([0, 1, 0]), net), masked]
    flow = diffeo.convert(Flow(CompositeTransform(parts), StandardNormal([3])).eval())
    assert str(flow).count("dropout 0.3") == (2 if probability else 0)
    assert ("dropout" in str(flow)) == (probability > 0)


def test_classes_with_code_of_their_own():
    from nflows.transforms import CompositeTransform

    class Twice(LULinear):
        def forward(self, x, context=None):
            z, log_det = super().forward(x, context)
            return 2 * z, log_det + 3 * np.log(2)

    class Shifted(Flow):
        def log_prob(self, x, context=None):
            return super().log_prob(x, context) + 1

    class Named(LULinear):
        pass

    hint = r"Twice\): its results differ .*: \S+Twice is a subclass of LULinear, with code of its own\?"
    with pytest.raises(ConversionError, match=hint) as caught:
        diffeo.convert(Flow(CompositeTransform([Named(3), Twice(3, identity_init=False)]), StandardNormal([3])))
    assert caught.value.path == "_transform._transforms.1"
    with pytest.raises(ConversionError, match=r"log_prob differs .*Shifted is a subclass of Flow, with code"):
        diffeo.convert(Shifted(Named(3), StandardNormal([3])))
    diffeo.convert(Flow(Named(3), StandardNormal([3])))


def test_maps_that_have_no_transformer():
    with pytest.raises(ConversionError, match="no transformer for its map of one number, Unconstrained"):
        diffeo.convert(zuko.flows.UNAF(3))


def test_activations_are_listed():
    from nflows.transforms import AffineCouplingTransform

    class Network(torch.nn.Sequential):
        def forward(self, x, context=None):
            return super().forward(x)

    def network(inputs, outputs):
        return Network(torch.nn.Linear(inputs, 5), torch.nn.SELU(), torch.nn.Linear(5, outputs))

    part = AffineCouplingTransform(torch.tensor([0, 1, 0]), network)
    with pytest.raises(ConversionError, match="one activation between all of them, of relu, tanh, elu"):
        diffeo.convert(Flow(part, StandardNormal([3])))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_rows_of_a_condition(soft, before):
    """FrEIA takes cond=[0, 1, ...] of a tensor to be its rows; rotations are matrices in float32."""
    framework, modules = pytest.importorskip("FrEIA.framework"), pytest.importorskip("FrEIA.modules")

    def net(inputs, outputs):
        return torch.nn.Sequential(torch.nn.Linear(inputs, 8), torch.nn.Tanh(), torch.nn.Linear(8, outputs))

    torch.manual_seed(0)
    theirs = framework.SequenceINN(5)
    words = {"subnet_constructor": net, "permute_soft": soft, "reverse_permutation": before}
    for _ in range(3):
        theirs.append(modules.AllInOneBlock, cond=list(range(20)), cond_shape=(2,), **words)
    flow = diffeo.convert(theirs, dtype="float64")
    assert ("determinants" in str(diffeo.exchange.report(flow))) == soft
    x, context = torch.randn(20, 5), torch.randn(20, 2)
    with torch.no_grad():
        z, log_det = theirs.double().eval()(x.double(), c=context.double())
    ours = flow.to_noise(x.double().numpy(), context.double().numpy())
    np.testing.assert_allclose(ours[0], z.numpy(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(ours[1], log_det.numpy(), rtol=1e-6, atol=1e-6)
    theirs.conditions[1] = [1, 0]
    with pytest.raises(ConversionError, match=r"the rows \[1, 0\] of a tensor"):
        diffeo.convert(theirs)


def test_what_data_goes_through_first():
    theirs = maf().double()
    mean, std = np.array([1.0, -2.0, 3.0]), np.array([0.5, 2.0, 4.0])
    spec = diffeo.Spec(3).add_permutation([2, 0, 1])
    flow = diffeo.convert(theirs, before=[diffeo.Spec(3).add_standardize(mean, std), spec])
    x = np.random.default_rng(0).normal(size=(6, 3))
    with torch.no_grad():
        z = torch.from_numpy(((x - mean) / std)[:, [2, 0, 1]])
        expected = theirs().log_prob(z).numpy() - np.log(std).sum()
    np.testing.assert_allclose(flow.log_prob(x), expected, rtol=1e-10)


@pytest.mark.parametrize("kind", ["affine_autoregressive", "affine_coupling", "spline_coupling"])
def test_what_training_leaves(kind):
    """Transforms of Pyro keep tensors of their last step, with its history."""
    transforms, dist = pytest.importorskip("pyro.distributions.transforms"), pytest.importorskip("pyro.distributions")
    torch.manual_seed(0)
    parts = [getattr(transforms, kind)(4, hidden_dims=[6]), transforms.batchnorm(4)]
    theirs = dist.TransformedDistribution(dist.Normal(torch.zeros(4), torch.ones(4)), parts)
    modules = torch.nn.ModuleList(parts)
    optimizer = torch.optim.Adam(modules.parameters(), lr=1e-2)
    for _ in range(2):
        theirs.clear_cache()
        optimizer.zero_grad()
        (-theirs.log_prob(torch.randn(20, 4)).mean()).backward()
        optimizer.step()
    modules.eval()
    x = torch.randn(5, 4)
    with torch.no_grad():
        expected = theirs.log_prob(x).numpy()
    np.testing.assert_allclose(diffeo.convert(theirs).log_prob(x.numpy()), expected, rtol=1e-4, atol=1e-4)


def leaks(*slopes):
    """What makes networks with a leaky ReLU of each slope."""

    def net(inputs, outputs):
        hidden = [each for slope in slopes for each in (LINEAR(6, 6), torch.nn.LeakyReLU(slope))]
        return torch.nn.Sequential(LINEAR(inputs, 6), *hidden[1:], LINEAR(6, outputs))

    return net


class Written(torch.nn.Sequential):
    """A leaky ReLU in code."""

    def forward(self, x, context=None):
        x = x if context is None else torch.cat([x, context], dim=1)
        for part in self[:-1]:
            x = torch.nn.functional.leaky_relu(part(x), 0.2)
        return self[-1](x)


def leaky(kind):
    import pyro.distributions as dist
    import pyro.distributions.transforms as transforms
    from nflows.transforms import AffineCouplingTransform
    from pyro.nn import AutoRegressiveNN, DenseNN

    normal, act = dist.Normal(torch.zeros(4), torch.ones(4)).to_event(1), torch.nn.LeakyReLU(0.1)
    match kind:
        case "autoregressive":
            part = transforms.AffineAutoregressive(AutoRegressiveNN(4, [7, 6], nonlinearity=act))
            return dist.TransformedDistribution(normal, [part])
        case "context":
            net = DenseNN(2, [7, 6], param_dims=[32, 32, 28, 32], nonlinearity=act)
            return dist.ConditionalTransformedDistribution(normal, [transforms.ConditionalSpline(net, 4, 8)])
        case "zuko":
            return zuko.flows.MAF(4, 2, transforms=1, hidden_features=(7, 6), activation=torch.nn.PReLU)
        case "code":
            net = lambda i, o: Written(LINEAR(i, 7), LINEAR(7, 6), LINEAR(6, o))  # noqa: E731
            return Flow(AffineCouplingTransform(torch.tensor([0, 1, 0, 1]), net), StandardNormal([4]))
        case "several":
            return graph(("GLOWCouplingBlock", {"subnet_constructor": leaks(0.2, 0.05)}), dim=4, context=2)


@pytest.mark.parametrize("kind", ["autoregressive", "context", "zuko", "code", "several"])
def test_leaky_relus_of_other_slopes(kind):
    pytest.importorskip("pyro")
    torch.manual_seed(0)
    flow = diffeo.convert(leaky(kind), dtype="float64")
    assert "relu" in str(flow)
    assert diffeo.exchange.report(flow).float64 < 1e-12


def swish(a):
    return a * torch.sigmoid(1.702 * a)


MULTIPLES = {
    "softplus": torch.nn.Softplus(beta=2.5),
    "log-sigmoid": torch.nn.LogSigmoid(),
    "celu": torch.nn.CELU(0.4),
    "swish": swish,
    "tanh": lambda a: 1.7159 * torch.tanh(2 * a / 3),
}


@pytest.mark.parametrize("name", MULTIPLES)
@pytest.mark.parametrize("kind", ["made", "autoregressive", "modules"])
def test_activations_that_are_multiples(name, kind):
    """An activation g that Diffeo has, as a g(b x): the numbers go into the matrices."""
    function = MULTIPLES[name]
    torch.manual_seed(0)
    if kind == "made":
        part = MaskedAffineAutoregressiveTransform(4, 7, num_blocks=2, use_residual_blocks=False, activation=function)
        theirs = Flow(part, StandardNormal([4]))
    elif kind == "autoregressive":
        transforms, nn = pytest.importorskip("pyro.distributions.transforms"), pytest.importorskip("pyro.nn")
        part = transforms.AffineAutoregressive(nn.AutoRegressiveNN(4, [7, 6], nonlinearity=function))
        normal = torch.distributions.Normal(torch.zeros(4), torch.ones(4))
        theirs = torch.distributions.TransformedDistribution(normal, [part])
    else:
        module = function if isinstance(function, torch.nn.Module) else Called(function)
        net = lambda i, o: torch.nn.Sequential(LINEAR(i, 7), module, LINEAR(7, 6), module, LINEAR(6, o))  # noqa: E731
        theirs = graph(("GLOWCouplingBlock", {"subnet_constructor": net}), dim=4, context=2)
    flow = diffeo.convert(theirs, dtype="float64")
    assert diffeo.exchange.report(flow).float64 < 1e-12
    words = {"softplus": "softplus", "log-sigmoid": "softplus", "celu": "elu", "swish": "silu", "tanh": "tanh"}
    assert words[name] in str(flow)


class Called(torch.nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_activations_with_factors_of_their_own():
    """Of each layer one: Diffeo has one activation between all of them."""
    beta = itertools.count(1)
    with pytest.raises(ConversionError, match="is none of relu, tanh"):
        diffeo.convert(zuko.flows.MAF(3, hidden_features=(5, 5), activation=lambda: torch.nn.Softplus(next(beta))))


def test_a_map_of_its_own_for_each_column():
    """Outcomes on the whole line beside ranks in the unit interval, say."""
    jax = pytest.importorskip("jax")
    b, d = pytest.importorskip("flowjax.bijections"), pytest.importorskip("flowjax.distributions")
    with jax.enable_x64(True):
        spline = b.RationalQuadraticSpline(knots=4, interval=2)
        parts = [b.Invert(b.Tanh(())), b.Affine(1.0, 2.0), b.Identity(()), spline, b.Exp(())]
        theirs = d.Transformed(d.Uniform(-np.ones(5), np.ones(5)), b.Stack(parts))
        flow = diffeo.convert(theirs, dtype="float64")
        x = flow.sample(20, seed=1)
        np.testing.assert_allclose(flow.log_prob(x), theirs.log_prob(x), rtol=1e-10, atol=1e-10)
        vectors = d.Transformed(
            d.Normal(np.zeros(4)), b.Indexed(b.Stack([b.Exp(()), b.Identity(())]), np.arange(2), (4,))
        )
        assert diffeo.convert(vectors, dtype="float64").dim == 4


def test_epsilon_of_sbi():
    """It is added to precisions and not to their determinants: converted is the density of what sbi samples."""
    mdn = pytest.importorskip("sbi.neural_nets.net_builders.mdn")
    torch.manual_seed(0)
    theta, x = 50 + 5 * torch.randn(100, 3), torch.randn(100, 2)
    theirs = mdn.build_mdn(theta, x, num_components=2)
    flow = diffeo.convert(theirs, dtype="float64")
    (said,) = diffeo.exchange.report(flow).by_hand
    assert "adds 0.0001 to the precisions and not to their determinants" in said
    own = theirs.double().log_prob(theta.double(), x.double()).detach().numpy()
    lower = flow.log_prob(theta.numpy(), x.numpy()) - own
    assert (lower > 0).all()
    assert lower.max() < 1e-2
    theirs.net._epsilon = 0.0
    exact = theirs.log_prob(theta.double(), x.double()).detach().numpy()
    np.testing.assert_allclose(flow.log_prob(theta.numpy(), x.numpy()), exact, rtol=1e-6, atol=1e-6)
    assert not diffeo.exchange.report(diffeo.convert(theirs)).by_hand


@pytest.mark.parametrize("columns", [2, 3])
def test_structured_z_score_of_a_mixture_of_sbi(columns):
    """One number for all columns, which sbi counts once: converted is the density of what it samples."""
    mdn = pytest.importorskip("sbi.neural_nets.net_builders.mdn")
    torch.manual_seed(0)
    theta, x = 2 + 5 * torch.randn(100, columns), torch.randn(100, 2)
    theirs = mdn.build_mdn(theta, x, z_score_x="structured").double().eval()
    theirs.net._epsilon = 0.0
    flow = diffeo.convert(theirs)
    uncounted = (columns - 1) * np.log(float(theirs._transform_scale))
    exact = theirs.log_prob(theta.double(), x.double()).detach().numpy() - uncounted
    np.testing.assert_allclose(flow.log_prob(theta.numpy(), x.numpy()), exact, rtol=1e-6, atol=1e-6)
    said = " ".join(diffeo.exchange.report(flow).by_hand)
    assert f"for {columns} columns once" in said
    assert f"larger by {uncounted:.3g}" in said


class Normalised(torch.nn.Module):
    """A block of dingo's, which nflows has with batch normalisation only."""

    def __init__(self, width, context):
        super().__init__()
        self.activation = torch.nn.functional.elu
        self.layer_norm_layers = torch.nn.ModuleList([torch.nn.LayerNorm(width) for _ in range(2)])
        self.context_layer = torch.nn.Linear(context, width)
        self.linear_layers = torch.nn.ModuleList([torch.nn.Linear(width, width) for _ in range(2)])
        self.dropout = torch.nn.Dropout(0.1)

    def forward(self, x, context):
        h = x
        for norm, layer in zip(self.layer_norm_layers, self.linear_layers, strict=True):
            h = layer(self.activation(norm(h)))
        return x + h * torch.sigmoid(self.context_layer(context))


class DenseResidualNet(torch.nn.Module):
    """That of dingo 0.10: the context goes into gates only, and there is no last layer by that name."""

    def __init__(self, inputs, outputs, widths=(9, 9, 6), context=4):
        super().__init__()
        self.initial_layer = torch.nn.Linear(inputs, widths[0])
        self.blocks = torch.nn.ModuleList([Normalised(width, context) for width in widths])
        links = [torch.nn.Identity(), torch.nn.Linear(9, 6), torch.nn.Linear(6, outputs)]
        self.resize_layers = torch.nn.ModuleList(links)

    def forward(self, x, context=None):
        x = self.initial_layer(x)
        for block, resize in zip(self.blocks, self.resize_layers, strict=True):
            x = resize(block(x, context))
        return x


@pytest.mark.parametrize("hidden_features", [0, 9])
def test_layer_normalised_couplings(hidden_features):
    """With `hidden_features` nflows divides widths and heights by its root."""
    from flows import randomise
    from nflows.transforms import CompositeTransform, PiecewiseRationalQuadraticCouplingTransform

    def net(inputs, outputs):
        made = DenseResidualNet(inputs, outputs)
        if hidden_features:
            made.hidden_features = hidden_features
        return made

    masks = [[1, 0, 1, 0, 1], [0, 1, 0, 1, 0]]
    words = {"num_bins": 4, "tails": "linear", "tail_bound": 2.5, "apply_unconditional_transform": True}
    parts = [PiecewiseRationalQuadraticCouplingTransform(torch.tensor(each), net, **words) for each in masks]
    theirs = randomise(Flow(CompositeTransform(parts), StandardNormal([5])), 3)
    flow = diffeo.convert(theirs)
    assert "layer" in str(flow)
    x, context = torch.randn(20, 5).double(), torch.randn(20, 4).double()
    with torch.no_grad():
        expected = theirs.log_prob(x, context)
    np.testing.assert_allclose(flow.log_prob(x.numpy(), context.numpy()), expected.numpy(), rtol=1e-9, atol=1e-9)


def test_bayesflow_says_the_same():
    """By its public interface, in float32, within what that loses; and what does not convert."""
    pytest.importorskip("bayesflow")
    import bayesflow as bf
    import flows
    import keras

    for theirs in flows.named("bayesflow").values():
        flow, exact = (diffeo.convert(theirs, dtype=dtype) for dtype in ("float32", "float64"))
        context = np.random.default_rng(0).normal(size=(20, flow.context_dim)).astype(np.float32)
        given = [context] if flow.context_dim else []
        x = flow.sample(20, *given, seed=0)
        words = {"conditions": keras.ops.convert_to_tensor(context)} if given else {}
        expected = exact.log_prob(*(np.float64(each) for each in (x, *given)))
        # One of them is steep: BayesFlow is off by 0.14 in its worst row.
        lost = abs(np.asarray(theirs.log_prob(keras.ops.convert_to_tensor(x), **words)) - expected)
        assert (np.sort(lost)[:10] < 1e-4).all()
        limit = np.maximum(1e-4 * (1 + abs(expected)), 4 * lost.max())
        assert (abs(flow.log_prob(x, *given) - expected) <= limit).all()
        assert keras.config.floatx() == "float32"
    for more, reason in (
        ({"base_distribution": "student_t"}, "a distribution of whole rows"),
        ({"transform": "spline"}, "ends that move"),
        ({"subnet_kwargs": {"norm": "layer"}}, "LayerNormalization behind an activation"),
    ):
        theirs = bf.networks.CouplingFlow(**more)
        with pytest.raises(ConversionError, match="it is not built"):
            diffeo.convert(theirs)
        theirs.build((None, 3), None)
        with pytest.raises(ConversionError, match=reason):
            diffeo.convert(theirs)


@pytest.mark.parametrize("ends", [(0.05, 20.0), (1e-3, 1e3), (0.05, np.inf), (0.0, 4.0)])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_softplus_that_is_clipped(ends, shift):
    """As TensorFlow Probability's users write it: recognised by its values, ends and all."""
    from diffeo.exchange._probe import scale, softplus

    found = scale(lambda a: np.clip(softplus(a + shift), *ends))
    assert found is not None
    words = found.transformer.attributes
    assert words["scale"] in ("clipped_softplus", "clamped_softplus")
    if words["scale"] == "clipped_softplus":
        least = np.log(ends[0])
        assert words["log_scale_low"] == pytest.approx(least)
        assert words["log_scale_high"] == pytest.approx(min(np.log(ends[1]), 80.0))
    assert found.offset == pytest.approx(shift)


def batch_before(i, o):
    norms = torch.nn.BatchNorm1d(7), torch.nn.BatchNorm1d(6)
    return chain(LINEAR(i, 7), norms[0], "tanh", LINEAR(7, 6), norms[1], "tanh", LINEAR(6, o))


def batch_behind(i, o):
    return chain(torch.nn.BatchNorm1d(i), LINEAR(i, 7), "relu", torch.nn.BatchNorm1d(7), LINEAR(7, o))


def layer_before(i, o):
    norms = torch.nn.LayerNorm(7), torch.nn.LayerNorm(6)
    return chain(LINEAR(i, 7), norms[0], "gelu", LINEAR(7, 6), norms[1], "gelu", LINEAR(6, o))


def layer_without_weights(i, o):
    return chain(LINEAR(i, 7), torch.nn.LayerNorm(7, elementwise_affine=False), "relu", LINEAR(7, o))


def batch_and_leaky(i, o):
    return chain(LINEAR(i, 7), torch.nn.LeakyReLU(0.1), torch.nn.BatchNorm1d(7), LINEAR(7, o))


class Code(torch.nn.Module):
    """A residual network as code."""

    def __init__(self, inputs, outputs, first=False):
        super().__init__()
        self.begin, self.block, self.end = LINEAR(inputs, 6), Added(6, first=first), LINEAR(6, outputs)

    def forward(self, x):
        return self.end(self.block(self.begin(x)))


def code(i, o):
    return Code(i, o)


def code_activated_first(i, o):
    return Code(i, o, True)


NETS = [batch_before, batch_behind, batch_and_leaky, layer_before, layer_without_weights, code, code_activated_first]


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("net", NETS)
def test_networks_of_couplings(net, context):
    from flows import randomise

    framework, modules = pytest.importorskip("FrEIA.framework"), pytest.importorskip("FrEIA.modules")
    torch.manual_seed(0)
    theirs = framework.SequenceINN(5)
    more = {"cond": 0, "cond_shape": (context,)} if context else {}
    for _ in range(2):
        theirs.append(modules.RNVPCouplingBlock, subnet_constructor=net, **more)
    theirs = randomise(theirs, 4)
    flow = diffeo.convert(theirs)
    assert ("layer" in str(flow).replace("layers", "")) == net.__name__.startswith("layer")
    x, given = torch.randn(20, 5).double(), torch.randn(20, context).double()
    with torch.no_grad():
        z, log_det = theirs(x, **({"c": [given]} if context else {}))
    ours = flow.to_noise(x.numpy(), *([given.numpy()] if context else []))
    np.testing.assert_allclose(ours[0], z.numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours[1], log_det.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "net",
    [
        lambda i, o: chain(LINEAR(i, 7), "relu", torch.nn.LayerNorm(7), LINEAR(7, o)),
        lambda i, o: chain(LINEAR(i, 7), torch.nn.LayerNorm(7), "relu", LINEAR(7, 7), "relu", LINEAR(7, o)),
        lambda i, o: chain(torch.nn.LayerNorm(i), LINEAR(i, 7), "relu", LINEAR(7, o)),
    ],
)
def test_normalisations_that_are_elsewhere(net):
    framework, modules = pytest.importorskip("FrEIA.framework"), pytest.importorskip("FrEIA.modules")
    theirs = framework.SequenceINN(4)
    theirs.append(modules.NICECouplingBlock, subnet_constructor=net)
    with pytest.raises(ConversionError, match="its network is not one of linear layers"):
        diffeo.convert(theirs)


def test_two_networks_that_are_normalised_unlike():
    framework, modules = pytest.importorskip("FrEIA.framework"), pytest.importorskip("FrEIA.modules")
    made = iter([layer_before, batch_before, batch_before, layer_before])
    theirs = framework.SequenceINN(4)
    theirs.append(modules.RNVPCouplingBlock, subnet_constructor=lambda i, o: next(made)(i, o))
    with pytest.raises(ConversionError, match="its two networks have different layer normalisations"):
        diffeo.convert(theirs)


def test_guides_of_numpyro():
    """What was fitted, by its public interface; of the guide alone the message says what to hand over."""
    numpyro = pytest.importorskip("numpyro")
    import jax
    from numpyro.infer import SVI, Trace_ELBO, autoguide

    def model():
        numpyro.sample("rate", numpyro.distributions.Gamma(2.0, 1.0))
        numpyro.sample("x", numpyro.distributions.Normal(0.0, jax.numpy.ones(3)).to_event(1))

    def fitted(kind):
        guide = kind(model)
        svi = SVI(model, guide, numpyro.optim.Adam(0.01), Trace_ELBO())
        return guide, svi.run(jax.random.PRNGKey(0), 5, progress_bar=False).params

    guide, params = fitted(autoguide.AutoIAFNormal)
    theirs = guide.get_posterior(params)
    flow = diffeo.convert(theirs, dtype="float64")
    x = np.array(theirs.sample(jax.random.PRNGKey(1), (20,)))
    np.testing.assert_allclose(flow.log_prob(x), theirs.log_prob(x), rtol=1e-5, atol=1e-5)
    constrained = diffeo.convert(theirs, before=[diffeo.Spec(4).add_domain("log", columns=[0], low=0.0)])
    x[:, 0] = np.exp(x[:, 0])
    expected = theirs.log_prob(np.concatenate([np.log(x[:, :1]), x[:, 1:]], axis=1)) - np.log(x[:, 0])
    np.testing.assert_allclose(constrained.log_prob(x), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ConversionError, match=r"such as the get_posterior\(params\) of a guide"):
        diffeo.convert(guide)
    guide, params = fitted(autoguide.AutoBNAFNormal)
    with pytest.raises(ConversionError, match=r"BlockNeuralAutoregressiveTransform.*no layer for it"):
        diffeo.convert(guide.get_posterior(params))


@pytest.mark.parametrize("seed", [1, 6, 8])
def test_batch_norm_that_has_seen_nothing(seed):
    """Its variance is 0, so that it magnifies 316 times: after three both sides are right to eight digits."""
    flows = pytest.importorskip("glasflow.flows")
    torch.manual_seed(seed)
    theirs = flows.CouplingNSF(
        n_inputs=5, n_transforms=3, batch_norm_between_transforms=True, n_conditional_inputs=seed % 2 or None
    )
    found = diffeo.exchange.report(diffeo.convert(theirs.eval(), dtype="float64"))
    assert found.float64 < 1e-7


def torch_flow(base):
    """On a base of torch, some of whose columns have places, widths and ends of their own."""
    d = torch.distributions
    shift, scale = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([2.0, 0.3, 1.0]).double()
    return d.TransformedDistribution(d.Independent(base, 1), [d.AffineTransform(shift, scale)])


def columns(*values):
    return torch.tensor(values, dtype=torch.float64)


BASES = {
    "box": lambda d: d.Uniform(columns(-1, 0, 10), columns(2, 1e-2, 30)),
    "Student's t": lambda d: d.StudentT(columns(3, 4, 50), columns(0, 2, -7), columns(1, 0.1, 3)),
    "standard Student's t": lambda d: d.StudentT(columns(3, 4, 50)),
    "log-normal, which is a transformed one": lambda d: d.LogNormal(columns(0, 1, -1), columns(1, 0.5, 0.2)),
    "logistic, of a uniform one": lambda d: d.TransformedDistribution(
        d.Uniform(columns(0, 0, 0), columns(1, 1, 1)), [d.SigmoidTransform().inv]
    ),
}


def side_by_side(d, *parts, lengths=None):
    """Of some columns each, the maps of numbers among them taken together."""
    both = d.CatTransform(parts, -1, lengths) if lengths else d.StackTransform(parts, 1)
    return d.TransformedDistribution(d.Normal(columns(0, 1, -1), columns(1, 2, 0.5)), [both])


TRANSFORMS = {
    "cat": lambda d: side_by_side(d, d.ExpTransform(), d.AffineTransform(1.0, -2.0), lengths=[1, 2]),
    "cat, the other way": lambda d: side_by_side(
        d, d.AffineTransform(columns(1), columns(3)).inv, d.SoftplusTransform(), lengths=[2, 1]
    ),
    "stack": lambda d: side_by_side(d, d.ExpTransform(), d.ComposeTransform([]), d.SigmoidTransform()),
    "a cat in a chain in a cat": lambda d: side_by_side(
        d,
        d.ComposeTransform([d.CatTransform([d.TanhTransform(), d.AffineTransform(0.0, 3.0)], -1), d.ExpTransform()]),
        d.ExpTransform(),
        lengths=[2, 1],
    ),
    "turned round": lambda d: d.TransformedDistribution(
        d.Normal(columns(0, 1, -1), columns(1, 2, 0.5)), [d.AffineTransform(1.0, -1.0)]
    ),
    "one number of an array": lambda d: d.TransformedDistribution(
        d.Normal(columns(0, 1, -1), columns(1, 2, 0.5)), [d.AffineTransform(columns(1), columns(-0.5))]
    ),
    "powers": lambda d: d.TransformedDistribution(
        d.LogNormal(columns(0, 1, -1), columns(1, 2, 0.5)), [d.PowerTransform(columns(2, -0.5, 3))]
    ),
    "power of a box": lambda d: d.TransformedDistribution(
        d.Uniform(columns(0, 0, 0), columns(1, 1, 1)), [d.PowerTransform(torch.tensor(1.5)).inv]
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_of_torch(name):
    theirs = TRANSFORMS[name](torch.distributions)
    flow = diffeo.convert(theirs)
    assert flow.dtype == np.float64, "that of its numbers, where nothing is trained"
    x = theirs.sample((40,))
    expected = theirs.log_prob(x)
    expected = expected if expected.ndim == 1 else expected.sum(dim=1)
    np.testing.assert_allclose(flow.log_prob(x.numpy()), expected.numpy(), rtol=1e-10, atol=1e-10)


def test_couplings_side_by_side():
    transforms, d = pytest.importorskip("pyro.distributions.transforms"), torch.distributions
    parts = transforms.affine_coupling(3).double(), transforms.affine_autoregressive(2, [6]).double()
    both = d.CatTransform(parts, -1, [3, 2])
    normal = d.Normal(torch.zeros(5).double(), torch.ones(5).double())
    flow = diffeo.convert(d.TransformedDistribution(normal, [both]))
    z = normal.sample((20,))
    with torch.no_grad():
        x = both(z)
        expected = normal.log_prob(z).sum(dim=1) - both.log_abs_det_jacobian(z, x)
    np.testing.assert_allclose(flow.log_prob(x.numpy()), expected.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (lambda d: d.CatTransform([d.ExpTransform()] * 3), "its dim is 0; that of the columns, -1, converts"),
        (lambda d: d.StackTransform([d.IndependentTransform(d.ExpTransform(), 1)] * 3, -1), "a map of vectors"),
        (lambda d: d.PowerTransform(columns(1, 0, 2)), "its exponent is 0"),
        (lambda d: d.AffineTransform(0.0, columns(1, 0, 2)), "its scale is 0"),
        (lambda d: d.AbsTransform(), r"transforms\.0 \(AbsTransform\): Diffeo has no layer for it"),
    ],
)
def test_transforms_of_torch_that_do_not_convert(transform, reason):
    d = torch.distributions
    with pytest.raises(ConversionError, match=reason):
        diffeo.convert(d.TransformedDistribution(d.Normal(columns(0, 0, 0), columns(1, 1, 1)), [transform(d)]))


@pytest.mark.parametrize("name", BASES)
def test_bases_of_torch(name):
    theirs = torch_flow(BASES[name](torch.distributions))
    flow = diffeo.convert(theirs, dtype="float64")
    x = theirs.sample((40,))
    np.testing.assert_allclose(flow.log_prob(x.numpy()), theirs.log_prob(x).numpy(), rtol=1e-10, atol=1e-10)


def test_inverses_of_pyro_once_zuko_is_imported():
    """It gives the class of torch's inverses another name."""
    transforms, d = pytest.importorskip("pyro.distributions.transforms"), torch.distributions
    coupling = transforms.affine_coupling(3)
    assert type(coupling.inv).__name__ == "Inverse"
    theirs = d.TransformedDistribution(d.Normal(columns(0, 0, 0), columns(1, 1, 1)), [coupling.inv])
    flow = diffeo.convert(theirs, dtype="float64")
    x = flow.sample(20, seed=1)
    coupling.double()
    expected = theirs.log_prob(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(flow.log_prob(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("library", ["glasflow", "zuko"])
def test_boxes_whose_sides_differ(library):
    low, high = torch.tensor([-40.0, -20.0, 0.0]), torch.tensor([50.0, 60.0, 70.0])
    if library == "zuko":
        turn = zuko.lazy.UnconditionalTransform(zuko.transforms.RotationTransform, torch.randn(3, 3))
        base = zuko.lazy.UnconditionalDistribution(zuko.distributions.BoxUniform, low, high, buffer=True)
        theirs = zuko.flows.Flow([turn], base)
    else:
        base = pytest.importorskip("glasflow.distributions").MultivariateUniform(low, high)
        theirs = Flow(LULinear(3), base)
    flow = diffeo.convert(theirs, dtype="float64")
    z = low.double() + (high - low).double() * torch.rand(20, 3, dtype=torch.float64)
    x, _ = flow.from_noise(((z - low) / (high - low)).numpy())
    noise, log_det = flow.to_noise(x)
    assert abs(noise - 0.5).max() <= 0.5 + 1e-12  # of the unit cube, whose density is 1
    np.testing.assert_allclose(flow.log_prob(x), log_det, atol=1e-12)
    theirs = theirs.double()
    density = theirs() if library == "zuko" else theirs
    with torch.no_grad():
        np.testing.assert_allclose(flow.log_prob(x), density.log_prob(torch.from_numpy(x)).numpy(), atol=1e-12)


def test_what_is_not_made_yet():
    model = type("FlowModel", (), {"__module__": "nessai.flowmodel.base", "model": None})()
    with pytest.raises(ConversionError, match=r"\(FlowModel\): it has no \.model yet"):
        diffeo.convert(model)
