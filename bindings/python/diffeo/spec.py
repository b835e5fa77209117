"""Flows built layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from ctypes import byref, c_int64, c_uint8, pointer
from dataclasses import dataclass
from typing import Any, Literal, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from . import _abi
from ._abi import Array, lib
from ._arrays import Integers, choice, dtype_code, image_shape, int64s, integer, real, seed64, sequence, vector
from ._words import (
    Activation,
    Base,
    Blocks,
    Boundary,
    Conditional,
    ContextMode,
    Covariance,
    Degrees,
    Derivative,
    Diagonal,
    Domain,
    Encoding,
    Family,
    ImageMask,
    Mask,
    Order,
    Scale,
    Squeeze,
    Target,
    Transformer,
)
from .errors import ShapeError
from .flow import Flow

_FLOAT64 = np.dtype(np.float64)
# What PyTorch adds to the variance.
LAYER_NORM_EPSILON = 1e-5


@dataclass(frozen=True)
class Spline:
    """A monotone rational-quadratic spline [1]_, in place of the affine map of a coupling or autoregressive layer.

    Parameters
    ----------
    bins : int
        Knots are one more. 2 to 64.
    low, high : float
        The spline lives in the box [low, high] x [low, high]; -1e6 to 1e6.
    boundary : {"linear", "periodic", "interval", "free", "extended", "half_turn"}
        What is outside: the identity; nothing, as x is an angle of period high - low [2]_; nothing, with no density;
        the identity, with any derivative at the ends of the box (flowjax); straight lines, with the derivatives at its
        ends (distrax); nothing, as x is an angle, turned by half before the spline (zuko).
    min_width, min_height : float
        Of a bin, as a part of the box; from 0 up to 1 / bins. Without `logit_bound`, less than 2^-30 (float64:
        2^-200) is taken as that.
    min_derivative : float
        At a knot; 0 or more, below 1, and the same.
    logit_bound : float
        c, 1e-3 to 10, or 0 for none: what goes into the softmax of widths and heights is a / (1 + abs(a) / c) for a
        network output a (zuko).
    derivative : {"softplus", "exp"}
        Of knots: m + log(1 + exp(a + log(exp(1 - m) - 1))), m = min_derivative, or exp(a / (1 + abs(a) / b)) (zuko).
    derivative_bound : float
        b above; 1e-3 to 80.
    boundary_derivative : float
        At the ends of the box of boundary "linear" (Pyro: 0.999); 1e-6 to 1e6.
    half_ends : bool
        Give the first and the last bin half of min_width and min_height (flowjax before 18).
    encoding : {"circle", "numbers"}
        What a network sees of angles: cosine and sine, or the number.

    References
    ----------
    .. [1] Durkan, Bekasov, Murray, Papamakarios, "Neural spline flows", NeurIPS 2019.
    .. [2] Rezende et al., "Normalizing flows on tori and spheres", ICML 2020.
    """

    bins: SupportsIndex = 8
    low: float = -4.0
    high: float = 4.0
    boundary: Boundary = "linear"
    min_width: float = 1e-3
    min_height: float = 1e-3
    min_derivative: float = 1e-3
    logit_bound: float = 0.0
    derivative: Derivative = "softplus"
    derivative_bound: float = math.log(1000)
    boundary_derivative: float = 1.0
    half_ends: bool = False
    encoding: Encoding = "circle"

    def _options(self) -> _abi.SplineOptions:
        o: _abi.SplineOptions = _abi.defaults(_abi.SplineOptions, lib.diffeo_spline_options_init)
        o.bins, o.low, o.high = integer(self.bins, "bins"), real(self.low, "low"), real(self.high, "high")
        o.boundary = choice(self.boundary, _abi.BOUNDARIES, "boundary")
        for name in (
            "min_width", "min_height", "min_derivative", "logit_bound", "derivative_bound", "boundary_derivative",
        ):  # fmt: skip
            setattr(o, name, real(getattr(self, name), name))
        o.derivative = choice(self.derivative, _abi.DERIVATIVES, "derivative")
        o.half_ends = bool(self.half_ends)
        o.encoding = choice(self.encoding, _abi.ENCODINGS, "encoding")
        return o

    def _set(self, options: Any) -> None:
        options.map, options.spline = _abi.MAPS["spline"], pointer(self._options())


@dataclass(frozen=True)
class LinearSpline(Spline):
    """A monotone spline of linear rational pieces [1]_, two in each bin, with the knots and slopes of a `Spline`.

    The inverse is as explicit as the map.

    Parameters
    ----------
    min_lambda : float
        The pieces meet at the part m + (1 - 2 m) sigmoid(a) of a bin's width for a network output a; 1e-3 to 0.499.
        All other parameters are those of `Spline`.

    References
    ----------
    .. [1] Dolatabadi, Erfani, Leckie, "Invertible generative modeling using linear rational splines", AISTATS 2020.
    """

    min_lambda: float = 0.025

    def _set(self, options: Any) -> None:
        o = self._options()
        o.min_lambda = real(self.min_lambda, "min_lambda")
        options.map, options.spline = _abi.MAPS["linear_spline"], pointer(o)


@dataclass(frozen=True)
class Mixture:
    """The CDF F of a mixture, in place of the affine map of a coupling or autoregressive layer.

    Inverted by safeguarded Newton steps to machine precision.

    Parameters
    ----------
    components : int
        1 to 64.
    family : {"normal", "logistic"}
        Of each component.
    target : {"logistic", "uniform"}
        Where the mixture is taken: z = log(F / (1 - F)), which is exact in both tails, or z = F.
    scale_bound : float
        c of the scale "soft_clip", 1e-3 to 20: logarithms of the components' scales are between -c and c.
    scale : {"soft_clip", "softplus"}
        Of a component, from a network output a: exp(a / (1 + abs(a) / c)), or
        log(1 + exp(a + log(exp(1 - e) - 1))) + e.
    scale_epsilon : float
        e of the scale "softplus", 1e-9 or more, below 1.
    """

    components: SupportsIndex = 8
    family: Family = "normal"
    target: Target = "logistic"
    scale_bound: float = 7.0
    scale: Literal["soft_clip", "softplus"] = "soft_clip"
    scale_epsilon: float = 1e-3

    def _set(self, options: Any) -> None:
        o = _abi.defaults(_abi.MixtureOptions, lib.diffeo_mixture_options_init)
        o.components = integer(self.components, "components")
        o.family = choice(self.family, _abi.FAMILIES, "family")
        o.target = choice(self.target, _abi.TARGETS, "target")
        o.scale_bound = real(self.scale_bound, "scale_bound")
        o.scale = choice(self.scale, {word: _abi.SCALES[word] for word in ("soft_clip", "softplus")}, "scale")
        o.scale_epsilon = real(self.scale_epsilon, "scale_epsilon")
        options.map, options.mixture = _abi.MAPS["mixture"], pointer(o)


@dataclass(frozen=True)
class Embedding:
    """A network of the context whose outputs all layers and the base read in its place, trained with the rest.

    The "embedding net" of simulation-based inference: a long context becomes few features. It reads the context
    standardised, if it is.

    Parameters
    ----------
    features : int
        Outputs of the network, 1 to 65536.
    hidden, activation, blocks, normalized, layer_norm, dropout
        Of the network, as in `Spec.add_coupling`.

    Examples
    --------
    >>> flow = diffeo.maf(dim=2, context_dim=50, embedding=diffeo.Embedding(8, hidden=(64, 64)))
    >>> flow.context_dim
    50
    """

    features: SupportsIndex
    hidden: Integers | SupportsIndex = (128, 128)
    activation: Activation = "relu"
    blocks: Blocks = "plain"
    normalized: bool = False
    layer_norm: bool = False
    dropout: float = 0.0

    def _network(self) -> Any:
        return _network(
            self.hidden, self.activation, self.blocks, self.normalized, layer_norm=self.layer_norm, dropout=self.dropout
        )


class Spec:
    """The architecture of a flow: layers in the order in which data passes them on its way to noise.

    Every method returns the spec, so that calls chain. The base is a standard normal distribution unless it is set.

    Of images (`shape`) some layers work on the `map`: at first that is the whole image; a squeeze gives it four times
    the channels and a quarter of the places, a split leaves half of the channels behind. Permutations, actnorm,
    elementwise affine, LU and linear layers then work on its channels, the same at each place. All other layers but
    `add_image_coupling` work on whole rows, by column.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536; or, of images, `shape`.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.
    shape : (int, int, int)
        Channels, height and width of images, in place of `dim`; 65536 numbers at most.

    Examples
    --------
    >>> spec = diffeo.Spec(dim=3).add_standardize()
    >>> for order in "natural", "reversed":
    ...     spec = spec.add_actnorm().add_autoregressive(hidden=(32, 32), order=order)
    >>> spec
    Spec(dim=3, context_dim=0, dtype='float32'): standardize, actnorm, autoregressive, actnorm, autoregressive
    >>> spec.build(seed=1).dim
    3
    >>> spec = diffeo.Spec(shape=(1, 8, 8)).add_dequantize(17).add_domain("logit", low=-0.05, high=1.05).add_squeeze()
    >>> for _ in range(2):
    ...     spec = spec.add_actnorm().add_lu().add_image_coupling(hidden=(16, 16))
    >>> spec.map, spec.build().shape
    ((4, 4, 4), (1, 8, 8))
    """

    def __init__(
        self,
        dim: SupportsIndex | None = None,
        context_dim: SupportsIndex = 0,
        dtype: npt.DTypeLike = "float32",
        *,
        shape: Integers | None = None,
    ) -> None:
        self._context_dim = integer(context_dim, "context_dim")
        self._dtype = np.dtype(dtype)
        self._layers: list[str] = []
        self._base = "standard_normal"
        code = dtype_code(self._dtype)
        if dim is not None and shape is None:
            self._shape: tuple[int, ...] = (integer(dim, "dim"),)
            self._handle = _abi.create(_abi.Spec, lib.diffeo_spec_create, *self._shape, self._context_dim, code)
        elif shape is not None and dim is None:
            self._shape = image_shape(shape)
            self._handle = _abi.create(_abi.Spec, lib.diffeo_spec_create_image, *self._shape, self._context_dim, code)
        else:
            raise TypeError("give dim, of vectors, or shape, of images, and one of them only")
        self._dim = math.prod(self._shape)

    @property
    def map(self) -> tuple[int, int, int]:
        """Channels, height and width that layers by channel work on now; (dim, 1, 1) of vectors."""
        sizes = np.empty(3, np.int64)
        lib.diffeo_spec_map(self._handle, sizes)
        channels, height, width = sizes.tolist()
        return channels, height, width

    def __repr__(self) -> str:
        events = f"dim={self._dim}" if len(self._shape) == 1 else f"shape={self._shape}"
        shape = f"Spec({events}, context_dim={self._context_dim}, dtype={self._dtype.name!r})"
        parts = self._layers if self._base == "standard_normal" else [*self._layers, f"base {self._base}"]
        return f"{shape}: {', '.join(parts)}" if parts else shape

    def add_autoregressive(
        self,
        hidden: Integers | SupportsIndex = (128, 128),
        *,
        activation: Activation = "relu",
        order: Order | Integers = "natural",
        degrees: Degrees = "sequential",
        scale: Scale = "soft_clip",
        scale_bound: float | None = None,
        scale_epsilon: float | None = None,
        log_scales: tuple[float, float] | None = None,
        transformer: Spline | Mixture | Transformer | None = None,
        direct: bool = False,
        blocks: Blocks = "plain",
        context_mode: ContextMode = "input",
        normalized: bool = False,
        dropout: float = 0.0,
        inverse_map: bool = False,
        seed: SupportsIndex = 0,
    ) -> Spec:
        """Add an autoregressive layer [1]_: z_i = s_i x_i + t_i, with s_i, t_i from the columns before i.

        s and t come from a MADE [2]_, which sees the context too. Density takes one pass; sampling computes each
        hidden unit once, at about the cost of one density pass. Inverted (`invert`) it is the layer of IAF [3]_.

        Parameters
        ----------
        hidden : sequence of int, or one int
            Widths of the hidden layers of the MADE, each 1 to 65536.
        activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu", "gelu_erf", \
                "mish", "hard_silu"}
            Nonlinearity of the hidden layers.
        order : {"natural", "reversed", "random"} or sequence of int
            In which order the columns are taken; a sequence names them from first to last.
        degrees : {"sequential", "random"}
            How degrees are dealt to the hidden units of the MADE.
        scale : {"soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive", "gated", "clamped_softplus", \
                "clamped_exp", "reciprocal_sigmoid", "atan", "skewed_clip", "clipped_softplus", "softplus_arsinh"}
            How s > 0 is made from a network output a. With bound c and epsilon e: exp(a / (1 + abs(a) / c)), exp(a),
            exp(c tanh(a / c)), log(1 + exp(a + log(exp(1 - e) - 1))) + e, sigmoid(a + 2) + e, and 1; gated is
            z = s x + (1 - s) t with s = sigmoid(a + 2), the stable update of IAF [3]_. For flows of other libraries
            min(log(1 + exp(a)) + e, c), exp(a) with a held to `log_scales`, 1 / sigmoid(a), exp(c atan(a)). Skewed, for
            layers whose samples are divided by s: the first, with c / 3 in place of c where a < 0. And log(1 + exp(a))
            with its logarithm held to `log_scales`, and log(1 + exp(arsinh(a) + log(e - 1))), here with Euler's e.
        scale_bound : float, optional
            c above: above 0, at most 80; by default 3.
        scale_epsilon : float, optional
            e above: 0 or more, below 1; by default 1e-3.
        log_scales : (float, float), optional
            Lowest and highest log(s) of "clamped_exp" and "clipped_softplus", within 80 of 0; by default -5 and 3.
        transformer : Spline, Mixture or str, optional
            Another map than the affine one; a name for one without options of its own: "sinh_arcsinh".
        direct : bool
            Give the MADE connections from its inputs to its outputs, too.
        blocks : {"plain", "residual", "preactivation"}
            What the hidden layers are: an activation f after each; or, behind a linear map where the width changes, a
            residual block each, which adds W f(V h + b) + c to h, or W f(V f(h) + b) + c [4]_.
        context_mode : {"input", "gate", "shift", "add"}
            How the network learns of the context: as inputs; so, and multiplying what a block adds by sigmoid(W c + b);
            not as inputs, but f(W c + b) added to the first hidden layer, and W c inside each block; or as inputs, and
            W c inside each block.
        normalized : bool
            With preactivation, activate s h + t in place of h, with trained s and t: batch normalisation as it is after
            training.
        dropout : float
            In training, leave each hidden unit out with this probability [6]_, and multiply the others so that the mean
            stays; in residual blocks units that W reads. 0 or more, below 1, counted in parts of 65536. Everything but
            training uses all units.
        inverse_map : bool
            Use the inverse of the map, with parameters from the same columns: z_i = (x_i - t_i) / s_i.
        seed : int
            Of a random order and random degrees; 0: of the seed of `build` and the number of the layer, so that no two
            layers draw the same.

        References
        ----------
        .. [1] Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", NIPS 2017.
        .. [2] Germain, Gregor, Murray, Larochelle, "MADE: masked autoencoder for distribution estimation", ICML 2015.
        .. [3] Kingma et al., "Improved variational inference with inverse autoregressive flow", NIPS 2016.
        .. [4] He, Zhang, Ren, Sun, "Identity mappings in deep residual networks", ECCV 2016.
        .. [5] Jones, Pewsey, "Sinh-arcsinh distributions", Biometrika 96, 2009.
        .. [6] Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
        """
        options = _abi.defaults(_abi.AutoregressiveOptions, lib.diffeo_autoregressive_options_init)
        options.network = _network(hidden, activation, blocks, normalized, context_mode, dropout=dropout)
        options.map = _map(scale, scale_bound, scale_epsilon, log_scales, transformer)
        options.seed = seed64(seed)
        if isinstance(order, str):
            options.order = choice(order, _abi.ORDERS, "order")
        else:
            columns = int64s(order, "order")
            self._check_length(len(columns), "order")
            options.order, options.order_given = _abi.ORDERS["given"], columns
        options.degrees = choice(degrees, _abi.DEGREES, "degrees")
        options.direct = bool(direct)
        options.inverse_map = bool(inverse_map)
        return self._add("autoregressive", byref(options))

    def add_coupling(
        self,
        hidden: Integers | SupportsIndex = (128, 128),
        *,
        activation: Activation = "relu",
        mask: Mask | Sequence[bool] | npt.NDArray[np.bool_] = "even",
        scale: Scale = "soft_clip",
        scale_bound: float | None = None,
        scale_epsilon: float | None = None,
        log_scales: tuple[float, float] | None = None,
        scale_activation: Activation | None = None,
        transformer: Spline | Mixture | Transformer | None = None,
        blocks: Blocks = "plain",
        context_mode: ContextMode = "input",
        normalized: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
        seed: SupportsIndex = 0,
    ) -> Spec:
        """Add a coupling layer [1]_: masked columns pass unchanged and give scale and shift of the others.

        One pass in both directions. Needs dim >= 2, or a context.

        Parameters
        ----------
        hidden, activation, scale, scale_bound, scale_epsilon, log_scales, transformer, blocks, context_mode, \
                normalized, dropout
            As in `add_autoregressive`; the network is dense.
        layer_norm : bool
            Normalise what is to be activated over the units of its layer, then scale and shift each unit [2]_. (Not in
            networks with masks, whose outputs would see every column.)
        scale_activation : str, optional
            Take the scale from a network of its own, with this activation: "tanh", as published, beside "relu" for the
            shift.
        mask : {"even", "odd", "first", "last", "random"} or sequence of bool
            The columns that pass unchanged: 0, 2, 4, ...; 1, 3, 5, ...; the first floor(dim / 2); the others;
            floor(dim / 2) columns drawn with the seed; or where the sequence is true.
        seed : int
            Of a random mask; 0 as in `add_autoregressive`.

        References
        ----------
        .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017.
        .. [2] Ba, Kiros, Hinton, "Layer normalization", arXiv:1607.06450.
        """
        options = _abi.defaults(_abi.CouplingOptions, lib.diffeo_coupling_options_init)
        options.network = _network(
            hidden, activation, blocks, normalized, context_mode, layer_norm=layer_norm, dropout=dropout
        )
        options.map = _map(scale, scale_bound, scale_epsilon, log_scales, transformer)
        options.seed = seed64(seed)
        if isinstance(mask, str):
            options.mask = choice(mask, _abi.MASKS, "mask")
        else:
            self._check_length(len(mask), "mask")
            options.mask = _abi.MASKS["given"]
            options.mask_given = (c_uint8 * len(mask))(*(bool(passes) for passes in mask))
        if scale_activation is not None:
            options.scale_activation = choice(scale_activation, _abi.ACTIVATIONS, "scale_activation")
        return self._add("coupling", byref(options))

    def add_squeeze(self, order: Squeeze = "channels") -> Spec:
        """Make channels of the 2 x 2 places k = 0 .. 3 of a square, line by line [1]_; height and width must be even.

        Parameters
        ----------
        order : {"channels", "places", "diagonals"}
            The number of the channel that place k of channel c of C becomes: 4 c + k (openai/glow, nflows, normflows);
            k C + c (space_to_depth of TensorFlow); k C + c with the places in the order (0, 0), (1, 1), (0, 1), (1, 0)
            (RealNVP).

        References
        ----------
        .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017, section 3.6.
        """
        return self._add("squeeze", choice(order, _abi.SQUEEZES, "order"))

    def add_unsqueeze(self, order: Squeeze = "channels") -> Spec:
        """Make squares of 2 x 2 places of channels, a multiple of 4: the inverse of `add_squeeze`.

        Parameters
        ----------
        order : {"channels", "places", "diagonals"}
            As in `add_squeeze`.
        """
        return self._add("unsqueeze", choice(order, _abi.SQUEEZES, "order"))

    def add_image_coupling(
        self,
        hidden: Integers | SupportsIndex = (128, 128),
        *,
        activation: Activation = "relu",
        mask: ImageMask | Sequence[bool] | npt.NDArray[np.bool_] = "first",
        scale: Scale = "soft_clip",
        scale_bound: float | None = None,
        scale_epsilon: float | None = None,
        log_scales: tuple[float, float] | None = None,
        transformer: Spline | Mixture | Transformer | None = None,
        blocks: Blocks = "plain",
        kernels: Integers | None = None,
        gain: bool = False,
        ones_outside: bool = False,
    ) -> Spec:
        """Add a coupling of images [1]_ [2]_: what is masked passes, and gives the map of the rest by convolutions.

        It works on the `map`, and begins as the identity, for scales that are 1 at a = 0. The context c adds W c at
        every place to what the first convolution gives. Inverted (`invert`), with the scale "exp", it is the
        conditional normal distribution N(t, s) of what is not masked.

        Parameters
        ----------
        hidden : sequence of int, or one int
            Channels of the hidden maps, each 1 to 65536, of residual blocks all the same; () is one convolution.
        activation, scale, scale_bound, scale_epsilon, log_scales, transformer
            As in `add_autoregressive`; no periodic splines.
        mask : {"first", "last", "even", "odd", "none"} or sequence of bool
            What passes unchanged: the first floor(channels / 2) channels of the map, or the last; the places where line
            + place is even, or odd, of all channels, a checkerboard; nothing, the context alone gives the parameters;
            or the channels where the sequence is true.
        blocks : {"plain", "residual", "preactivation"}
            Plain: convolutions, with an activation f after each but the last. Residual: a convolution, a block for each
            entry of `hidden`, which adds W f(V h) to h, or W f(V f(h)) with preactivation, and a convolution.
        kernels : sequence of three int, optional
            Sides of the kernels of the first convolution, those between and the last; odd, 1 to 15. By default 3, 1, 3,
            or 3, 3, 1 of residual blocks. Around the map there are zeros.
        gain : bool
            Multiply each output by exp(3 l) with trained l [2]_, appendix B.
        ones_outside : bool
            Let the last convolution see ones around its map in place of zeros (rosinality/glow-pytorch).

        References
        ----------
        .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017.
        .. [2] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018.
        """
        options = _abi.defaults(_abi.ImageCouplingOptions, lib.diffeo_image_coupling_options_init)
        options.network = _convolution(hidden, activation, blocks, kernels, gain, ones_outside)
        options.map = _map(scale, scale_bound, scale_epsilon, log_scales, transformer)
        if isinstance(mask, str):
            options.mask = choice(mask, _abi.IMAGE_MASKS, "mask")
        else:
            self._check_channels(len(mask), "mask")
            options.mask = _abi.IMAGE_MASKS["given"]
            options.mask_given = (c_uint8 * len(mask))(*(bool(passes) for passes in mask))
        return self._add("image_coupling", byref(options))

    def add_split(
        self,
        keep: Literal["first", "last"] = "first",
        *,
        prior: bool = True,
        hidden: Integers | SupportsIndex = (),
        activation: Activation = "relu",
        blocks: Blocks = "plain",
        kernels: Integers | None = None,
        gain: bool = True,
        ones_outside: bool = False,
    ) -> Spec:
        """Leave half of the channels of the `map` behind [1]_: layers that come work on the other ceil(channels / 2).

        With a prior what is left behind goes to noise by N(mean, std), which a network makes of what stays [2]_, from
        N(0, 1) on: a layer of its own.

        Parameters
        ----------
        keep : {"first", "last"}
            The channels that stay.
        prior : bool
            Or leave them as they are: they are distributed as the base.
        hidden, activation, blocks, kernels, gain, ones_outside
            Of the network of the prior, as in `add_image_coupling`; by default it is one convolution of 3 x 3.

        References
        ----------
        .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017, section 3.6.
        .. [2] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018.
        """
        options = _abi.defaults(_abi.SplitOptions, lib.diffeo_split_options_init)
        options.keep = choice(keep, {word: _abi.IMAGE_MASKS[word] for word in ("first", "last")}, "keep")
        options.prior = bool(prior)
        options.network = _convolution(hidden, activation, blocks, kernels, gain, ones_outside)
        return self._add("split", byref(options))

    def add_elementwise(
        self,
        *,
        columns: Integers | None = None,
        scale: Scale = "soft_clip",
        scale_bound: float | None = None,
        scale_epsilon: float | None = None,
        log_scales: tuple[float, float] | None = None,
        transformer: Spline | Mixture | Transformer | None = None,
        hidden: Integers | SupportsIndex | None = None,
        activation: Activation = "relu",
        blocks: Blocks = "plain",
        normalized: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> Spec:
        """Add the map of a coupling or autoregressive layer by itself: z_i = map(x_i), its parameters trained.

        Parameters
        ----------
        columns : sequence of int, optional
            Ascending; all other columns pass unchanged, and by default there are none.
        scale, scale_bound, scale_epsilon, log_scales, transformer
            As in `add_autoregressive`.
        hidden : sequence of int, or one int, optional
            Widths of the hidden layers of a network of the context that gives the parameters; by default they are
            trained.
        activation, blocks, normalized, layer_norm, dropout
            Of that network, as in `add_autoregressive`.
        """
        options = _abi.defaults(_abi.ElementwiseOptions, lib.diffeo_elementwise_options_init)
        if columns is not None:
            options.columns, options.column_count = int64s(columns, "columns"), len(columns)
        options.network = _network(hidden, activation, blocks, normalized, layer_norm=layer_norm, dropout=dropout)
        options.map = _map(scale, scale_bound, scale_epsilon, log_scales, transformer)
        return self._add("elementwise", byref(options))

    def add_permutation(self, permutation: Integers) -> Spec:
        """Add z_i = x_{permutation[i]}: of columns, or of the channels of the `map`.

        Parameters
        ----------
        permutation : sequence of int
            0 to dim - 1, each once; of images 0 to channels - 1.
        """
        entries = np.array([integer(entry, "permutation") for entry in permutation], np.int64)
        self._check_channels(len(entries), "permutation")
        return self._add("permutation", entries)

    def add_reverse(self) -> Spec:
        """Add the permutation that reverses the columns, or the channels of the `map`."""
        return self._add("reverse")

    def add_random_permutation(self, seed: SupportsIndex = 0) -> Spec:
        """Add a permutation drawn with the seed, of two columns or channels their exchange.

        A seed of 0 is as in `add_autoregressive`.
        """
        return self._add("random_permutation", seed64(seed))

    def add_actnorm(self) -> Spec:
        """Add z = exp(log_scale) x + shift with trained vectors [1]_, of images by channel of the `map`.

        They are set when training begins, so that the outputs have mean 0 and standard deviation 1.

        References
        ----------
        .. [1] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018.
        """
        return self._add("actnorm")

    def add_elementwise_affine(self, shift: bool = True) -> Spec:
        """Add z = exp(log_scale) x + shift with trained vectors, by column or channel, at first the identity.

        Parameters
        ----------
        shift : bool
            Without it the layer is the diagonal scaling of NICE.
        """
        return self._add("elementwise_affine", bool(shift))

    def add_batch_norm(self, epsilon: float = 1e-5, momentum: float = 0.1) -> Spec:
        """Add z = exp(log_gamma) (x - mean) / sqrt(variance + epsilon) + beta [1]_.

        In training a minibatch goes by its own mean and variance, in pieces of at most 512 rows; everything else by
        running averages.

        Parameters
        ----------
        epsilon : float
            Above 0, at most 1.
        momentum : float
            The part that a minibatch has in the averages; above 0, at most 1.

        References
        ----------
        .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017.
        """
        return self._add("batch_norm", real(epsilon, "epsilon"), real(momentum, "momentum"))

    def add_lu(self, permuted: bool = True, seed: SupportsIndex = 0) -> Spec:
        """Add the linear layer z = P L (U + diag(s)) x + bias, trained [1]_. It begins as the permutation P.

        Both directions cost one matrix, the determinant is that of diag(s). Of images it works at each place on the
        channels of the `map`: the invertible 1x1 convolution of Glow, whose log-determinant is height width sum log
        abs(s).

        Parameters
        ----------
        permuted : bool
            Draw P with the seed; or have none.
        seed : int
            Of P; 0 as in `add_autoregressive`.

        References
        ----------
        .. [1] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018.
        """
        return self._add("lu", bool(permuted), seed64(seed))

    def add_linear(self) -> Spec:
        """Add z = W x + bias with one matrix W of at most 4096 x 4096, trained, at first a random rotation.

        Its inverse and determinant cost the cube of its size, once for each change of the weights. Of images it works
        at each place on the channels of the `map`: the invertible 1x1 convolution of Glow [1]_ in its plain form.

        References
        ----------
        .. [1] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018, section 3.2.
        """
        return self._add("linear")

    def add_householder(self, reflections: SupportsIndex) -> Spec:
        """Add a product of Householder reflections I - 2 v v^T / v^T v, trained: an orthogonal matrix.

        Parameters
        ----------
        reflections : int
            1 or more; the determinant is (-1)^reflections, and `dim` of them give any such matrix.
        """
        return self._add("householder", integer(reflections, "reflections"))

    def add_planar(
        self,
        hidden: Integers | SupportsIndex | None = None,
        activation: Activation = "relu",
        *,
        blocks: Blocks = "plain",
        normalized: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> Spec:
        """Add x + u tanh(w x + b) [1]_, kept invertible; the other direction is found to machine precision.

        Usually inverted (`invert`), so that sampling is the explicit direction.

        Parameters
        ----------
        hidden : sequence of int, or one int, optional
            Widths of the hidden layers of a network of the context that gives u, w and b; by default they are trained
            vectors.
        activation, blocks, normalized, layer_norm, dropout
            Of that network, as in `add_autoregressive`.

        References
        ----------
        .. [1] Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015.
        """
        return self._add(
            "planar", _network(hidden, activation, blocks, normalized, layer_norm=layer_norm, dropout=dropout)
        )

    def add_radial(
        self,
        hidden: Integers | SupportsIndex | None = None,
        activation: Activation = "relu",
        *,
        blocks: Blocks = "plain",
        normalized: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> Spec:
        """Add x + beta (x - x0) / (alpha + norm(x - x0)), kept invertible; the other direction is exact.

        Parameters, and the reference, are those of `add_planar`.
        """
        return self._add(
            "radial", _network(hidden, activation, blocks, normalized, layer_norm=layer_norm, dropout=dropout)
        )

    def add_domain(
        self,
        domain: Domain,
        columns: Integers | None = None,
        low: npt.ArrayLike | None = None,
        high: npt.ArrayLike | None = None,
    ) -> Spec:
        """Take columns from their domain to the whole line; beyond its ends log_prob is -inf.

        Parameters
        ----------
        domain : {"logit", "log", "softplus", "logistic_to_normal", "leaky_tanh", "leaky_relu", "log_tanh", "probit"}
            low < x < high: z = log((x - low) / (high - x)); x > low: z = log(x - low); x > low: z =
            log(exp(x - low) - 1), about x - low where that is large; any x: z = Phi^-1(sigmoid(x)). With a constant in
            place of low: tanh(x) with its tangents beyond +-low; x, and low x below 0; tanh(x), and beyond +-low
            +-(tanh(low) + k log(abs(x) / low)) with k = (1 - tanh(tanh(low))) / low. low < x < high:
            z = Phi^-1((x - low) / (high - low)).
        columns : sequence of int, optional
            Ascending; all other columns pass unchanged, and by default there are none.
        low, high : float or array_like, optional
            Ends of the domain, one for all or one a column.
        """
        chosen = None if columns is None else _numbers(columns, "columns")
        count = self._dim if chosen is None else len(chosen)
        ends = [
            None if end is None else _of_columns(np.asarray(end, _FLOAT64), count, name)
            for name, end in (("low", low), ("high", high))
        ]
        code = choice(domain, _abi.DOMAINS, "domain")
        lib.diffeo_spec_add_domain(self._handle, code, chosen, 0 if chosen is None else count, *ends)
        self._layers.append(domain)
        return self

    def add_wrap(
        self,
        low: npt.ArrayLike = -np.pi,
        high: npt.ArrayLike = np.pi,
        columns: Integers | None = None,
        *,
        random_shift: bool = False,
        seed: SupportsIndex = 0,
    ) -> Spec:
        """Add z = low + (x + shift - low) mod (high - low): angles, turned by a trained shift.

        Parameters
        ----------
        low, high : float, or of some columns array_like
            A full turn, one for all or one a column.
        columns : sequence of int, optional
            Ascending; all other columns pass unchanged, and by default there are none.
        random_shift : bool
            Begin with a shift drawn with the seed instead of 0.
        seed : int
            Of that; 0 as in `add_autoregressive`.
        """
        begins = bool(random_shift), seed64(seed)
        if columns is None:
            return self._add("wrap", real(cast(float, low), "low"), real(cast(float, high), "high"), *begins)
        chosen = _numbers(columns, "columns")
        ends = (
            _of_columns(np.asarray(end, _FLOAT64), len(chosen), name) for name, end in (("low", low), ("high", high))
        )
        return self._add("wrap_columns", chosen, len(chosen), *ends, *begins)

    def add_dequantize(self, levels: Integers | SupportsIndex, columns: Integers | None = None) -> Spec:
        """Add z = x / levels, and in training (x + u) / levels with u uniform in [0, 1), new in each epoch [1]_.

        Integers 0 to levels - 1 become numbers in [0, 1); log_prob is per unit of x, so that bits per dimension are
        -log_prob / (dim log 2). Rows held out in a training have noise, too, the same in each epoch: give both as
        integers. Everywhere else x is taken as it is: add the noise yourself, or ask for `Flow.log_probability`.

        Parameters
        ----------
        levels : int, or of some columns a sequence of int
            2 to 16777216, one for all or one a column; 0 is for counts 0, 1, 2, ... without an end: z = x, and in
            training x + u.
        columns : sequence of int, optional
            Ascending; all other columns pass unchanged, and by default there are none.

        References
        ----------
        .. [1] Theis, van den Oord, Bethge, "A note on the evaluation of generative models", ICLR 2016.
        """
        if columns is None:
            return self._add("dequantize", integer(cast(SupportsIndex, levels), "levels"))
        chosen = _numbers(columns, "columns")
        given = (
            _numbers(cast(Integers, levels), "levels")
            if np.ndim(cast(Any, levels))
            else integer(cast(SupportsIndex, levels), "levels")
        )
        counts = _of_columns(np.asarray(given), len(chosen), "levels")
        return self._add("dequantize_columns", chosen, len(chosen), counts)

    def add_standardize(
        self, mean: npt.ArrayLike | None = None, std: npt.ArrayLike | None = None, *, robust: bool = False
    ) -> Spec:
        """Add z = (x - mean) / std, which is not trained; by default taken from the data when training begins.

        Parameters
        ----------
        mean, std : array_like of `dim` values, or both None
            std > 0.
        robust : bool, default False
            Take from the data the median and half the distance between the quantiles 0.1587 and 0.8413, which a few
            wild values do not move, in place of mean and standard deviation.
        """
        self._standardization(robust)
        return self._add("standardize", *_both(mean, std, self._dim))

    def standardize_context(
        self, mean: npt.ArrayLike | None = None, std: npt.ArrayLike | None = None, *, robust: bool = False
    ) -> Spec:
        """Standardise the context before any layer sees it; at most once.

        Parameters
        ----------
        mean, std : array_like of `context_dim` values, or both None
            As in `add_standardize`.
        robust : bool, default False
            As in `add_standardize`.
        """
        self._standardization(robust)
        lib.diffeo_spec_standardize_context(self._handle, *_both(mean, std, self._context_dim))
        return self

    def set_embedding(self, embedding: Embedding) -> Spec:
        """Let all layers and the base read the outputs of a network of the context in its place.

        Parameters
        ----------
        embedding : Embedding
            The network. At most one, and before layers and the base, which are made for its features.
        """
        features = integer(embedding.features, "features")
        lib.diffeo_spec_set_embedding(self._handle, features, embedding._network())
        return self

    def _standardization(self, robust: bool) -> None:
        lib.diffeo_spec_set_standardization(self._handle, _abi.STANDARDIZES["robust" if robust else "deviation"])

    def invert(self) -> Spec:
        """Turn the layer that was added last the other way round: any layer can be."""
        lib.diffeo_spec_invert(self._handle)
        self._layers[-1] = (
            self._layers[-1].removeprefix("inverse ")
            if self._layers[-1].startswith("inverse ")
            else ("inverse " + self._layers[-1])
        )
        return self

    def set_base(
        self,
        base: Base,
        *,
        low: float | None = None,
        high: float | None = None,
        df: float | None = None,
        components: SupportsIndex | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        covariance: Covariance = "diagonal",
        diagonal: Diagonal = "exp",
        epsilon: float = 0.0,
        hidden: Integers | SupportsIndex | None = None,
        activation: Activation = "relu",
        blocks: Blocks = "plain",
        normalized: bool = False,
        layer_norm: bool = False,
        dropout: float = 0.0,
    ) -> Spec:
        """Set the distribution of the noise; the last one set counts.

        Parameters
        ----------
        base : {"standard_normal", "normal", "logistic", "uniform", "student_t", "mixture", "beta"}
            normal: mean and standard deviation by column; logistic: density exp(-z) / (1 + exp(-z))^2; uniform: on
            [low, high]; student_t: degrees of freedom by column; mixture: of normal distributions; beta: density
            proportional to (z - low)^(alpha - 1) (high - z)^(beta - 1) on [low, high].
        low, high : float, optional
            Of uniform and beta; by default 0 and 1.
        df : float, optional
            Where student_t begins, 0.1 to 1e8; by default 5.
        components : int, optional
            Of mixture, 1 to 1024; by default 8.
        alpha, beta : float, optional
            Of beta, the same for all columns and not trained; 0.1 to 1e4, by default 13.
        covariance : {"diagonal", "full", "precision"}
            Of the components of mixture, for standard normal e: z = mean + s e; z = mean + L e with L lower triangular,
            so that L L^T is the covariance; U (z - mean) = e with U upper triangular, so that U^T U is its inverse.
        diagonal : {"exp", "softplus"}
            Of mixture: s, the diagonal of L or of U, is exp(a) + epsilon or log(1 + exp(a)) + epsilon.
        epsilon : float
            Of mixture; 0 or more, below 1.
        hidden : sequence of int, or one int, optional
            Widths of the hidden layers of a network of the context that gives the parameters of normal, student_t or
            mixture; by default they are trained vectors.
        activation, blocks, normalized, layer_norm, dropout
            Of that network, as in `add_autoregressive`.
        """
        options = _abi.defaults(_abi.BaseOptions, lib.diffeo_base_options_init)
        options.base = choice(base, _abi.BASES, "base")
        if low is not None:
            options.low = real(low, "low")
        if high is not None:
            options.high = real(high, "high")
        if df is not None:
            options.df = real(df, "df")
        if components is not None:
            options.components = integer(components, "components")
        if alpha is not None:
            options.alpha = real(alpha, "alpha")
        if beta is not None:
            options.beta = real(beta, "beta")
        options.covariance = choice(covariance, _abi.COVARIANCES, "covariance")
        options.diagonal = choice(diagonal, _abi.DIAGONALS, "diagonal")
        options.epsilon = real(epsilon, "epsilon")
        options.network = _network(hidden, activation, blocks, normalized, layer_norm=layer_norm, dropout=dropout)
        lib.diffeo_spec_set_base(self._handle, byref(options))
        self._base = base
        return self

    def set_base_made(
        self,
        hidden: Integers | SupportsIndex = (128, 128),
        *,
        conditional: Conditional = "gaussian",
        components: SupportsIndex = 8,
        activation: Activation = "relu",
        order: Order | Integers = "natural",
        degrees: Degrees = "sequential",
        masks: SupportsIndex = 1,
        direct: bool = False,
        blocks: Blocks = "plain",
        context_mode: ContextMode = "input",
        normalized: bool = False,
        dropout: float = 0.0,
        seed: SupportsIndex = 0,
    ) -> Spec:
        """Set a MADE [1]_ as the distribution of the noise, or, without layers, of the data.

        Parameters
        ----------
        hidden, activation, order, degrees, direct, blocks, context_mode, normalized, dropout, seed
            As in `add_autoregressive`.
        conditional : {"gaussian", "mixture", "bernoulli"}
            Of each column given those before it. bernoulli: columns are 0 or 1, and log_prob is that of a probability.
        components : int
            Of mixture, 1 to 64.
        masks : int
            1 to 256, each with its own order and degrees if those are random. The density is the mean of theirs; a step
            of the training uses one, the next step the next.

        References
        ----------
        .. [1] Germain, Gregor, Murray, Larochelle, "MADE: masked autoencoder for distribution estimation", ICML 2015.
        """
        options = _abi.defaults(_abi.MadeOptions, lib.diffeo_made_options_init)
        options.network = _network(hidden, activation, blocks, normalized, context_mode, dropout=dropout)
        options.conditional = choice(conditional, _abi.CONDITIONALS, "conditional")
        options.components = integer(components, "components")
        options.masks = integer(masks, "masks")
        if isinstance(order, str):
            options.order = choice(order, _abi.ORDERS, "order")
        else:
            columns = int64s(order, "order")
            self._check_length(len(columns), "order")
            options.order, options.order_given = _abi.ORDERS["given"], columns
        options.degrees = choice(degrees, _abi.DEGREES, "degrees")
        options.direct = bool(direct)
        options.seed = seed64(seed)
        lib.diffeo_spec_set_base_made(self._handle, byref(options))
        self._base = "made"
        return self

    def build(self, seed: SupportsIndex = 0) -> Flow:
        """Return a flow of this architecture, with random weights near the identity.

        The seed decides them, and with them all random choices of layers that have no seed of their own: the same spec
        and seed give the same flow.
        """
        return Flow(_abi.create(_abi.Flow, lib.diffeo_flow_create, self._handle, seed64(seed)))

    def _build_in(self, dtype: np.dtype[Any], seed: SupportsIndex) -> Flow:
        """The same in another type than its own."""
        lib.diffeo_spec_set_dtype(self._handle, dtype_code(dtype))
        try:
            return self.build(seed)
        finally:
            lib.diffeo_spec_set_dtype(self._handle, dtype_code(self._dtype))

    def _add(self, layer: str, *arguments: Any) -> Spec:
        getattr(lib, f"diffeo_spec_add_{layer}")(self._handle, *arguments)
        self._layers.append(layer.removesuffix("_columns"))
        return self

    def _check_length(self, length: int, name: str) -> None:
        if length != self._dim:
            raise ShapeError(f"{name} has {length} entries, this spec has dim {self._dim}")

    def _check_channels(self, length: int, name: str) -> None:
        channels, height, width = self.map
        if len(self._shape) == 1:
            self._check_length(length, name)
        elif length != channels:
            raise ShapeError(f"{name} has {length} entries, the map is {channels} x {height} x {width} here")


def _numbers(values: Integers, name: str) -> npt.NDArray[np.int64]:
    return np.array([*int64s(values, name)], np.int64)


def _of_columns(values: Array, count: int, name: str) -> Array:
    """One for all, or one for each of so many columns."""
    if values.ndim > 1 or (values.ndim == 1 and len(values) != count):
        raise ShapeError(f"{name} has shape {values.shape}, there are {count} columns")
    return np.array(np.broadcast_to(values, count))


def _map(
    scale: str | None = None,
    bound: float | None = None,
    epsilon: float | None = None,
    log_scales: tuple[float, float] | None = None,
    transformer: Spline | Mixture | Transformer | None = None,
) -> Any:
    """Options of the map of one number."""
    options = _abi.defaults(_abi.MapOptions, lib.diffeo_map_options_init)
    if scale is not None:
        options.scale = choice(scale, _abi.SCALES, "scale")
    if bound is not None:
        options.scale_bound = real(bound, "scale_bound")
    if epsilon is not None:
        options.scale_epsilon = real(epsilon, "scale_epsilon")
    if log_scales is not None:
        low, high = log_scales
        options.log_scale_low, options.log_scale_high = real(low, "log_scales"), real(high, "log_scales")
    if isinstance(transformer, str):
        options.map = choice(transformer, _abi.MAPS, "transformer")
    elif transformer is not None:
        transformer._set(options)
    return pointer(options)


def _network(
    hidden: Integers | SupportsIndex | None,
    activation: str,
    blocks: str,
    normalized: bool = False,
    context_mode: str = "input",
    *,
    layer_norm: bool = False,
    dropout: float = 0.0,
) -> Any:
    """Options of a network, or None."""
    if hidden is None:
        return None
    options = _abi.defaults(_abi.NetworkOptions, lib.diffeo_network_options_init)
    widths = int64s(sequence(hidden), "hidden")
    options.hidden, options.hidden_count = widths, len(widths)
    options.activation = choice(activation, _abi.ACTIVATIONS, "activation")
    options.blocks = choice(blocks, _abi.BLOCKS, "blocks")
    options.context_mode = choice(context_mode, _abi.CONTEXT_MODES, "context_mode")
    options.normalized = bool(normalized)
    options.layer_norm_epsilon = LAYER_NORM_EPSILON if layer_norm else 0.0
    options.dropout = real(dropout, "dropout")
    return pointer(options)


def _convolution(
    hidden: Integers | SupportsIndex,
    activation: str,
    blocks: str,
    kernels: Integers | None,
    gain: bool,
    ones_outside: bool = False,
) -> Any:
    """Options of a convolutional network."""
    options = _abi.defaults(_abi.ConvolutionOptions, lib.diffeo_convolution_options_init)
    widths = int64s(sequence(hidden), "hidden")
    # Of no length it would be NULL, which stands for the defaults.
    options.hidden, options.hidden_count = widths or (c_int64 * 1)(), len(widths)
    options.activation = choice(activation, _abi.ACTIVATIONS, "activation")
    options.blocks = choice(blocks, _abi.BLOCKS, "blocks")
    if kernels is not None:
        sides = [*int64s(kernels, "kernels")]
        if len(sides) != 3:
            raise ShapeError(f"kernels has {len(sides)} entries, expected 3: first, between, last")
        if 0 in sides:
            raise ValueError(f"kernels is {tuple(sides)}: they are odd, 1 or more")
        options.kernel_first, options.kernel_hidden, options.kernel_last = sides
    options.gain, options.ones_outside = bool(gain), bool(ones_outside)
    return pointer(options)


def _both(mean: npt.ArrayLike | None, std: npt.ArrayLike | None, length: int) -> tuple[Array | None, Array | None]:
    """Mean and standard deviation as float64 vectors, or neither."""
    if (mean is None) != (std is None):
        raise ValueError("give both mean and std, or neither")
    if mean is None or std is None:
        return None, None
    return (
        vector(mean, length, "mean", _FLOAT64).astype(_FLOAT64, copy=False),
        vector(std, length, "std", _FLOAT64).astype(_FLOAT64, copy=False),
    )
