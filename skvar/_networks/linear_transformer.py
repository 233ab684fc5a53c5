"""The linear Transformer that SAMoVAR re-arranges, in the usual order of its parts.

Lu & Yang (2025), arXiv:2502.07244, section 4: layers of attention and MLP in turns are
not aligned with a VAR, unlike SAMoVAR's.
"""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
from torch import Tensor, nn

from .._attention import linear_attention
from .arx import REFERENCE_NAMES, REFERENCE_WITHOUT, ARXNetwork, used_positions
from .layers import (
    Dropout,
    ResidualMLP,
    check_sizes,
    load_renamed,
    renamed,
    split_heads,
)


class LinearTransformer(ARXNetwork):
    """Linear attention and MLPs in turns: the misaligned baseline of `SAMoVAR`.

    Tokens, normalisation, losses and read-out are those of `SAMoVAR`.

    Parameters
    ----------
    lags : int
        Time steps in a window; padded on the left to whole tokens.
    horizon : int
        Time steps in a forecast. Beyond ``token_length`` the network feeds its
        forecast back, which needs ``n_targets == n_series``.
    n_series : int
        Series in a window.
    n_targets : int, optional
        How many series to forecast, the last ones; all by default.
    token_length : int, optional
        Time steps in a token; the horizon by default, as in the paper.
    n_layers, n_heads, d_model : int
        Depth, heads and width; ``n_heads`` divides ``d_model``.
    dropout : float
        Share of activations dropped in training.

    Raises
    ------
    ValueError
        If a size is less than one, ``n_heads`` does not divide ``d_model``,
        ``n_targets`` exceeds ``n_series``, or forecasts of some series would have to be
        fed back.
    TypeError
        If a size is not an integer.

    References
    ----------
    .. [1] Lu, J. and Yang, S. (2025). Linear Transformers as VAR Models: Aligning
       Autoregressive Attention Mechanisms with Autoregressive Forecasting.
       arXiv:2502.07244.

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import LinearTransformer
    >>> network = LinearTransformer(lags=48, horizon=12, n_series=3)
    >>> network(torch.randn(5, 48, 3)).shape
    torch.Size([5, 12, 3])
    """

    def __init__(
        self,
        *,
        lags: int,
        horizon: int,
        n_series: int,
        n_targets: int | None = None,
        token_length: int | None = None,
        n_layers: int = 3,
        n_heads: int = 8,
        d_model: int = 64,
        dropout: float = 0.1,
    ):
        super().__init__(
            lags=lags,
            horizon=horizon,
            n_series=n_series,
            n_targets=n_targets,
            token_length=token_length,
            n_heads=n_heads,
            d_model=d_model,
            dropout=dropout,
            kinds=False,
        )
        check_sizes(n_layers=n_layers)
        self.layers = nn.ModuleList(
            LinearTransformerLayer(d_model, n_heads, dropout) for _ in range(n_layers)
        )
        self._add_readout(d_model)
        for layer in self.layers:
            for last in (layer.out, layer.feed_forward.contract):
                nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * n_layers))

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens (B, 2N, D) in pairs to what stands at the main ones (B, N, D)."""
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens[:, 1::2]

    @classmethod
    def from_reference(
        cls,
        params: Mapping[str, np.ndarray],
        *,
        lags: int,
        horizon: int,
        n_heads: int,
        n_series: int,
        n_layers: int,
        d_model: int,
        n_targets: int | None = None,
        dropout: float = 0.0,
    ) -> "LinearTransformer":
        """Build the network from a checkpoint of the paper's code.

        Parameters
        ----------
        params : mapping of str to array
            Arrays under their names in the published checkpoints.
        lags, horizon, n_heads, n_series, n_layers, d_model : int
            As in the constructor, with the values of the checkpoint.
        n_targets : int, optional
            As in the constructor.
        dropout : float
            For further training.

        Returns
        -------
        LinearTransformer
            With the checkpoint's parameters, in training mode.

        Raises
        ------
        ValueError
            If ``params`` lacks an array of this network, or has one that does not fit
            or belong.
        """
        network = cls(
            lags=lags,
            horizon=horizon,
            n_series=n_series,
            n_targets=n_targets,
            n_layers=n_layers,
            n_heads=n_heads,
            d_model=d_model,
            dropout=dropout,
        )
        used = used_positions(params, network.tokens)
        load_renamed(network, used, reference_name, without=REFERENCE_WITHOUT)
        return network


class LinearTransformerLayer(nn.Module):
    """Causal linear attention, then an MLP, each on the normalised tokens."""

    def __init__(self, d_model: int, n_heads: int, dropout: float):
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.RMSNorm(d_model, eps=1e-5)
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(dropout)
        self.feed_forward = ResidualMLP(d_model, 4 * d_model, dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        u = self.norm(tokens)
        q, k, v = (
            split_heads(project(u), self.n_heads)
            for project in (self.query, self.key, self.value)
        )
        attended, _ = linear_attention(q, k, v)
        return self.feed_forward(tokens + self.dropout(self.out(attended.flatten(-2))))


reference_name = partial(
    renamed,
    names={
        **REFERENCE_NAMES,
        "layers.{}.norm": "transformer.pns.{}",
        "layers.{}.query": "transformer.attn.{}.q1",
        "layers.{}.key": "transformer.attn.{}.k1",
        "layers.{}.value": "transformer.attn.{}.v1",
        "layers.{}.out": "transformer.attn.{}.c_proj",
        "layers.{}.feed_forward.norm": "transformer.lns.{}",
        "layers.{}.feed_forward.expand": "transformer.mlps.{}.c_fc",
        "layers.{}.feed_forward.contract": "transformer.mlps.{}.c_proj",
    },
)
