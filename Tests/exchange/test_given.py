"""What people hand over that is not quite a flow: wrappers, parts, other types.

Needs the libraries: make test-exchange.
"""

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
from nflows.transforms import LULinear  # noqa: E402


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


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda: Holder(maf()), r"Holder\): it is no flow itself, but has one at \.flow: convert\(that\.flow\)"),
        (lambda: Posterior(Holder(made_by_nflows())), r"has one at \.net\.flow"),
        (lambda: torch.nn.ModuleList([maf()]), r"convert\(that\[0\]\)"),
        (lambda: Holder(maf(), maf()), r"has some at \.flow, \.other"),
        (lambda: Holder(), "a flow of none of nflows, zuko"),
        (lambda: torch.nn.DataParallel(Holder(maf())), r"Holder\): .* at \.flow"),
        (lambda: maf()(), "only a lazy flow is converted"),
        (lambda: maf().transform, "only a lazy flow is converted"),
        (lambda: made_by_nflows()._transform, "only a whole Flow is converted"),
        (lambda: made_by_nflows()._distribution, "only a whole Flow is converted"),
        (lambda: torch.distributions.Normal(0.0, 1.0), "only a TransformedDistribution is converted"),
        (lambda: zuko.flows.GMM(3, covariance_type="full"), "covariances are full"),
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


def test_graphs():
    framework = pytest.importorskip("FrEIA.framework")
    start = framework.InputNode(4)
    node = framework.Node(start, pytest.importorskip("FrEIA.modules").PermuteRandom, {"seed": 0})
    graph = framework.GraphINN([start, node, framework.OutputNode(node)])
    with pytest.raises(ConversionError, match="only a SequenceINN is converted"):
        diffeo.convert(graph)


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
        return Network(torch.nn.Linear(inputs, 5), torch.nn.Mish(), torch.nn.Linear(5, outputs))

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
        expected = theirs.log_prob(z).numpy() - np.log(std).sum()
    np.testing.assert_allclose(flow.log_prob(x), expected, rtol=1e-10)
