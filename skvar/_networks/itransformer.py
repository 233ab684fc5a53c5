"""The inverted Transformer: every series is a token.

Liu et al. (2023), "iTransformer: Inverted Transformers Are Effective for Time Series
Forecasting", ICLR 2024, arXiv:2310.06625.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import (
    Dropout,
    check_heads,
    check_sizes,
    check_window,
    load_renamed,
    mean_squared_error,
    renamed,
    split_heads,
)


class ITransformer(nn.Module):
    """Transformer encoder whose tokens are whole windows, one of each series.

    Windows are standardised by their own mean and standard deviation.

    Parameters
    ----------
    lags, horizon : int
        Time steps in a window and in a forecast.
    n_series : int
        Series in a window, all of them forecast. No parameter depends on it: windows
        may have any number of them.
    n_layers, n_heads, d_model : int
        Depth, heads and width; ``n_heads`` divides ``d_model``.
    d_ff : int, optional
        Width inside the MLPs; ``4 * d_model`` by default.
    dropout : float
        Share of activations dropped in training.

    Raises
    ------
    ValueError
        If a size is less than one, or ``n_heads`` does not divide ``d_model``.
    TypeError
        If a size is not an integer.

    References
    ----------
    .. [1] Liu, Y. et al. (2023). iTransformer: Inverted Transformers Are Effective for
       Time Series Forecasting. arXiv:2310.06625.

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import ITransformer
    >>> network = ITransformer(lags=48, horizon=12, n_series=3)
    >>> network(torch.randn(5, 48, 3)).shape
    torch.Size([5, 12, 3])
    """

    def __init__(
        self,
        *,
        lags: int,
        horizon: int,
        n_series: int,
        n_layers: int = 2,
        n_heads: int = 8,
        d_model: int = 64,
        d_ff: int | None = None,
        dropout: float = 0.1,
    ):
        super().__init__()
        check_heads(n_heads, d_model)
        d_ff = 4 * d_model if d_ff is None else d_ff
        check_sizes(
            lags=lags, horizon=horizon, n_series=n_series, n_layers=n_layers, d_ff=d_ff
        )
        self.lags, self.horizon, self.n_series = lags, horizon, n_series
        self.embed = nn.Linear(lags, d_model)
        self.dropout = Dropout(dropout)
        # nn.TransformerEncoder would copy one layer, first parameters included.
        self.layers = nn.Sequential(
            *(EncoderLayer(d_model, n_heads, d_ff, dropout) for _ in range(n_layers))
        )
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, horizon)

    def forward(self, window: Tensor) -> Tensor:
        """Forecast (B, horizon, n_series) from a window (B, lags, n_series)."""
        check_window(window, self.lags)
        mean = window.mean(dim=1, keepdim=True)
        variance = window.var(dim=1, keepdim=True, correction=0)
        scale = (variance + 1e-5).sqrt()
        tokens = self.dropout(self.embed(((window - mean) / scale).mT))
        return self.head(self.norm(self.layers(tokens))).mT * scale + mean

    def losses(
        self, window: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Mean squared error of the forecast."""
        return {"loss_forecast": mean_squared_error(self(window), target)}

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
        d_ff: int | None = None,
        dropout: float = 0.0,
    ) -> "ITransformer":
        """Build the network from a checkpoint of the Time-Series-Library.

        Parameters
        ----------
        params : mapping of str to array
            Arrays under their names there, which differ from those of the paper's code.
        lags, horizon, n_heads, n_series, n_layers, d_model : int
            As in the constructor, with the values of the checkpoint.
        d_ff : int, optional
            As in the constructor.
        dropout : float
            For further training.

        Returns
        -------
        ITransformer
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
            n_layers=n_layers,
            n_heads=n_heads,
            d_model=d_model,
            d_ff=d_ff,
            dropout=dropout,
        )
        load_renamed(network, _joined(params), reference_name)
        return network


class EncoderLayer(nn.TransformerEncoderLayer):
    """torch's encoder layer with dropout that draws from a generator of its own."""

    def __init__(self, d_model: int, n_heads: int, d_ff: int, dropout: float):
        super().__init__(
            d_model, n_heads, d_ff, dropout, activation="gelu", batch_first=True
        )
        self.dropout, self.dropout1, self.dropout2, self.dropout_of_weights = (
            Dropout(dropout) for _ in range(4)
        )

    def _sa_block(self, x: Tensor, *masks: Any, **options: Any) -> Tensor:
        """Torch's own attention, whose weights are dropped by torch's global generator.

        Where weights are dropped, its operations in its order, to the last bit.
        """
        drop = self.dropout_of_weights
        if not drop.training or not drop.p:
            return super()._sa_block(x, *masks, **options)
        attention = self.self_attn
        projected = F.linear(
            x.transpose(0, 1), attention.in_proj_weight, attention.in_proj_bias
        )
        parts = projected.unflatten(-1, (3, -1)).movedim(-2, 0).contiguous()
        q, k, v = split_heads(parts, attention.num_heads).permute(0, 2, 3, 1, 4)
        root = math.sqrt(1 / math.sqrt(attention.head_dim))
        weights = ((q * root) @ (k.mT * root)).softmax(dim=-1)
        mixed = (drop(weights) @ v).permute(2, 0, 1, 3).contiguous()
        return self.dropout1(attention.out_proj(mixed.flatten(2)).transpose(0, 1))


def _joined(params: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Projections of queries, keys and values in one array, as torch has them."""
    joined = dict(params)
    for name in params:
        parts = [name.replace("query", part) for part in ("query", "key", "value")]
        if ".query_projection." in name and params.keys() >= set(parts):
            joined[name.replace("query", "in")] = np.concatenate(
                [joined.pop(part) for part in parts]
            )
    return joined


reference_name = partial(
    renamed,
    names={
        "embed": "enc_embedding.value_embedding",
        **{
            f"layers.{{}}.{ours}": f"encoder.attn_layers.{{}}.{theirs}"
            for ours, theirs in {
                "self_attn.in_proj_weight": "attention.in_projection.weight",
                "self_attn.in_proj_bias": "attention.in_projection.bias",
                "self_attn.out_proj": "attention.out_projection",
                "linear1": "conv1",
                "linear2": "conv2",
                "norm1": "norm1",
                "norm2": "norm2",
            }.items()
        },
        "norm": "encoder.norm",
        "head": "projection",
    },
)
