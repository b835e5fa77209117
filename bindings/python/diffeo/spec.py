"""Flows built layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref, c_uint8
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import _abi
from ._abi import Array, lib
from ._arrays import Integers, choice, dtype_code, int64s, integer, seed64, vector
from .errors import ShapeError
from .flow import Flow

_FLOAT64 = np.dtype(np.float64)


class Spec:
    """The architecture of a flow: layers in the order in which data passes them on its way to noise.

    Every method that adds a layer returns the spec, so that calls chain. The base distribution is a standard normal.

    Parameters
    ----------
    dim : int
        Columns of the data, 1 to 65536.
    context_dim : int
        Columns of the context; 0 for a flow without context.
    dtype : {"float32", "float64"} or numpy dtype
        What the flow computes in.

    Examples
    --------
    >>> spec = diffeo.Spec(dim=3).add_standardize()
    >>> for order in "natural", "reversed":
    ...     spec = spec.add_actnorm().add_autoregressive(hidden=(32, 32), order=order)
    >>> spec
    Spec(dim=3, context_dim=0, dtype='float32'): standardize, actnorm, autoregressive, actnorm, autoregressive
    >>> spec.build(seed=1).dim
    3
    """

    def __init__(self, dim: SupportsIndex, context_dim: SupportsIndex = 0, dtype: npt.DTypeLike = "float32") -> None:
        self._dim = integer(dim, "dim", 1)
        self._context_dim = integer(context_dim, "context_dim", 0)
        self._dtype = np.dtype(dtype)
        self._layers: list[str] = []
        self._handle = _abi.create(
            _abi.Spec, lib.diffeo_spec_create, self._dim, self._context_dim, dtype_code(self._dtype)
        )

    def __repr__(self) -> str:
        shape = f"Spec(dim={self._dim}, context_dim={self._context_dim}, dtype={self._dtype.name!r})"
        return f"{shape}: {', '.join(self._layers)}" if self._layers else shape

    def add_autoregressive(
        self,
        hidden: Integers = (128, 128),
        *,
        activation: str = "relu",
        order: str | Integers = "natural",
        degrees: str = "sequential",
        scale: str = "soft_clip",
        scale_bound: float | None = None,
        scale_epsilon: float | None = None,
        inverse: bool = False,
        seed: SupportsIndex = 0,
    ) -> Spec:
        """Add an affine autoregressive layer [1]_: z_i = s_i x_i + t_i, with s_i, t_i from the columns before i.

        s and t come from a MADE [2]_, which sees the context too. Density takes one pass; sampling computes each
        hidden unit once, at about the cost of one density pass.

        Parameters
        ----------
        hidden : sequence of int
            Widths of the hidden layers of the MADE.
        activation : {"relu", "tanh", "elu", "silu", "leaky_relu", "softplus", "sigmoid", "gelu"}
            Nonlinearity of the hidden layers.
        order : {"natural", "reversed", "random"} or sequence of int
            In which order the columns are taken; a sequence names them from first to last.
        degrees : {"sequential", "random"}
            How degrees are dealt to the hidden units of the MADE.
        scale : {"soft_clip", "exp", "tanh", "softplus", "sigmoid", "additive"}
            How s > 0 is made from a network output a. With bound c and epsilon e: exp(a / (1 + abs(a) / c)), exp(a),
            exp(c tanh(a / c)), log(1 + exp(a + log(exp(1 - e) - 1))) + e, sigmoid(a + 2) + e, and 1.
        scale_bound : float, optional
            c above; by default 3.
        scale_epsilon : float, optional
            e above; by default 1e-3.
        inverse : bool
            The same layer the other way round, x = s(z) z + t(z): that of IAF [3]_.
        seed : int
            Of a random order and random degrees.

        References
        ----------
        .. [1] Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", NIPS 2017.
        .. [2] Germain, Gregor, Murray, Larochelle, "MADE: masked autoencoder for distribution estimation", ICML 2015.
        .. [3] Kingma et al., "Improved variational inference with inverse autoregressive flow", NIPS 2016.
        """
        options = _abi.defaults(_abi.AutoregressiveOptions, lib.diffeo_autoregressive_options_init)
        _set_network(options, hidden, activation, scale, scale_bound, scale_epsilon, seed)
        if isinstance(order, str):
            options.order = choice(order, _abi.ORDERS, "order")
        else:
            columns = int64s(order, "order")
            self._check_length(len(columns), "order")
            options.order, options.order_given = _abi.ORDERS["given"], columns
        options.degrees = choice(degrees, _abi.DEGREES, "degrees")
        options.inverse = bool(inverse)
        return self._add("autoregressive", byref(options))

    def add_coupling(
        self,
        hidden: Integers = (128, 128),
        *,
        activation: str = "relu",
        mask: str | Sequence[bool] | npt.NDArray[np.bool_] = "even",
        scale: str = "soft_clip",
        scale_bound: float | None = None,
        scale_epsilon: float | None = None,
        seed: SupportsIndex = 0,
    ) -> Spec:
        """Add an affine coupling layer [1]_: masked columns pass unchanged and give scale and shift of the others.

        One pass in both directions. Needs dim >= 2, or a context.

        Parameters
        ----------
        hidden, activation, scale, scale_bound, scale_epsilon
            As in `add_autoregressive`; the network is dense.
        mask : {"even", "odd", "first", "last", "random"} or sequence of bool
            The columns that pass unchanged: 0, 2, 4, ...; 1, 3, 5, ...; the first floor(dim / 2); the others;
            floor(dim / 2) columns drawn with the seed; or where the sequence is true.
        seed : int
            Of a random mask.

        References
        ----------
        .. [1] Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017.
        """
        options = _abi.defaults(_abi.CouplingOptions, lib.diffeo_coupling_options_init)
        _set_network(options, hidden, activation, scale, scale_bound, scale_epsilon, seed)
        if isinstance(mask, str):
            options.mask = choice(mask, _abi.MASKS, "mask")
        else:
            self._check_length(len(mask), "mask")
            options.mask = _abi.MASKS["given"]
            options.mask_given = (c_uint8 * len(mask))(*(bool(passes) for passes in mask))
        return self._add("coupling", byref(options))

    def add_permutation(self, permutation: Integers) -> Spec:
        """Add z_i = x_{permutation[i]}; the `dim` entries are 0 to dim - 1, each once."""
        entries = np.array([integer(entry, "permutation", 0) for entry in permutation], np.int64)
        self._check_length(len(entries), "permutation")
        return self._add("permutation", entries)

    def add_reverse(self) -> Spec:
        """Add the permutation that reverses the columns."""
        return self._add("reverse")

    def add_random_permutation(self, seed: SupportsIndex = 0) -> Spec:
        """Add a permutation drawn with the seed."""
        return self._add("random_permutation", seed64(seed))

    def add_actnorm(self) -> Spec:
        """Add z = exp(log_scale) x + shift with trained vectors [1]_.

        They are set when training begins, so that the outputs have mean 0 and standard deviation 1.

        References
        ----------
        .. [1] Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018.
        """
        return self._add("actnorm")

    def add_standardize(self, mean: npt.ArrayLike | None = None, std: npt.ArrayLike | None = None) -> Spec:
        """Add z = (x - mean) / std, which is not trained; by default taken from the data when training begins.

        Parameters
        ----------
        mean, std : array_like of `dim` values, or both None
            std > 0.
        """
        return self._add("standardize", *_both(mean, std, self._dim))

    def standardize_context(self, mean: npt.ArrayLike | None = None, std: npt.ArrayLike | None = None) -> Spec:
        """Standardise the context before any layer sees it; at most once.

        Parameters
        ----------
        mean, std : array_like of `context_dim` values, or both None
            As in `add_standardize`.
        """
        lib.diffeo_spec_standardize_context(self._handle, *_both(mean, std, self._context_dim))
        return self

    def build(self, seed: SupportsIndex = 0) -> Flow:
        """Return a flow of this architecture, with random weights near the identity that depend on the seed alone."""
        return Flow(_abi.create(_abi.Flow, lib.diffeo_flow_create, self._handle, seed64(seed)))

    def _add(self, layer: str, *arguments: Any) -> Spec:
        getattr(lib, f"diffeo_spec_add_{layer}")(self._handle, *arguments)
        self._layers.append(layer)
        return self

    def _check_length(self, length: int, name: str) -> None:
        if length != self._dim:
            raise ShapeError(f"{name} has {length} entries, this spec has dim {self._dim}")


def _set_network(
    options: Any,
    hidden: Integers,
    activation: str,
    scale: str,
    bound: float | None,
    epsilon: float | None,
    seed: SupportsIndex,
) -> None:
    """Fill in what autoregressive and coupling options share."""
    options.hidden, options.hidden_count = int64s(hidden, "hidden", 1), len(hidden)
    options.activation = choice(activation, _abi.ACTIVATIONS, "activation")
    options.scale = choice(scale, _abi.SCALES, "scale")
    options.seed = seed64(seed)
    if bound is not None:
        options.scale_bound = bound
    if epsilon is not None:
        options.scale_epsilon = epsilon


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
