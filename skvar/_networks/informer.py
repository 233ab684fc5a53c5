"""Informer: attention of few queries, an encoder that halves, a decoder in one step.

Zhou et al. (2021), "Informer: Beyond Efficient Transformer for Long Sequence
Time-Series Forecasting", AAAI, arXiv:2012.07436.

Details are those of the Time-Series-Library (TSLib); the notes of `Informer` say where
the authors' code differs.
"""

import math
import re
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._attention import probsparse_attention
from .layers import (
    Dropout,
    check_heads,
    check_sizes,
    check_window,
    load_renamed,
    mean_squared_error,
    split_heads,
)


class Informer(nn.Module):
    """Encoder and decoder with ProbSparse attention.

    Between layers the encoder distils its tokens to about half as many. The decoder
    starts from the last rows of the window and zeros in place of the forecast, which it
    makes in one step. The keys that `probsparse_attention` samples are drawn anew at
    every call in training, and once for all in evaluation. Details are those of the
    Time-Series-Library.

    Parameters
    ----------
    lags, horizon : int
        Time steps in a window, at least two, and in a forecast.
    n_series : int
        Series in a window, all of them forecast.
    label_len : int, optional
        Rows of the window that the decoder starts from, ``lags`` at most; half of them
        by default.
    n_marks : int
        Features of the time of a row, such as its hour; 0 for none.
    factor : int
        Keys sampled, and queries that attend, for each unit of the natural logarithm of
        their number, rounded up. With 5, up to 15 tokens attend in full.
    n_layers, n_decoder_layers : int
        Depth of the encoder and of the decoder, 2 by default in the authors' code.
    n_heads, d_model : int
        Heads and width; ``n_heads`` divides ``d_model``.
    d_ff : int, optional
        Width inside the MLPs; ``4 * d_model`` by default.
    dropout : float
        Share of activations dropped in training.

    Raises
    ------
    ValueError
        If a size is less than one, ``lags`` less than two, ``label_len`` exceeds
        ``lags``, or ``n_heads`` does not divide ``d_model``.
    TypeError
        If a size is not an integer.

    Notes
    -----
    As in the Time-Series-Library, every attention reads its heads (B, n_heads, N, d) as
    tokens (B, N, n_heads * d), which mixes heads and places. In the authors' code only
    the self-attention of the decoder does, all of the decoder's tokens attend to the
    encoded ones, and distilling adds no tokens before it halves them.

    References
    ----------
    .. [1] Zhou, H. et al. (2021). Informer: Beyond Efficient Transformer for Long
       Sequence Time-Series Forecasting. arXiv:2012.07436.

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import Informer
    >>> network = Informer(lags=48, horizon=12, n_series=3)
    >>> network(torch.randn(5, 48, 3)).shape
    torch.Size([5, 12, 3])
    """

    def __init__(
        self,
        *,
        lags: int,
        horizon: int,
        n_series: int,
        label_len: int | None = None,
        n_marks: int = 0,
        factor: int = 5,
        n_layers: int = 2,
        n_decoder_layers: int = 1,
        n_heads: int = 8,
        d_model: int = 64,
        d_ff: int | None = None,
        dropout: float = 0.1,
    ):
        super().__init__()
        check_heads(n_heads, d_model)
        check_sizes(least=2, lags=lags)
        check_sizes(least=0, n_marks=n_marks)
        d_ff = 4 * d_model if d_ff is None else d_ff
        label_len = lags // 2 if label_len is None else label_len
        check_sizes(
            horizon=horizon,
            n_series=n_series,
            label_len=label_len,
            factor=factor,
            n_layers=n_layers,
            n_decoder_layers=n_decoder_layers,
            d_ff=d_ff,
        )
        if label_len > lags:
            raise ValueError(
                f"label_len={label_len} exceeds lags={lags}; the decoder starts from "
                "the last rows of the window."
            )
        self.lags, self.horizon, self.n_series = lags, horizon, n_series
        self.label_len, self.n_marks = label_len, n_marks
        attention = partial(
            ProbSparseAttention, d_model=d_model, n_heads=n_heads, factor=factor
        )
        layer = partial(Layer, d_model=d_model, d_ff=d_ff, dropout=dropout)
        self.embed = Embedding(n_series, n_marks, d_model, dropout)
        length, self.encoder = lags, nn.ModuleList([layer(attention(lags, lags))])
        for _ in range(n_layers - 1):
            # The convolution adds two tokens, as in TSLib, before pooling halves them.
            length = (length + 1) // 2 + 1
            self.encoder.append(layer(attention(length, length)))
        self.distil = nn.ModuleList(Distilling(d_model) for _ in range(n_layers - 1))
        self.encoder_norm = nn.LayerNorm(d_model)
        n = label_len + horizon
        self.decoder_embed = Embedding(n_series, n_marks, d_model, dropout)
        self.decoder = nn.ModuleList(
            layer(attention(n, n, causal=True), attention(n, length))
            for _ in range(n_decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, n_series)

    def forward(
        self,
        window: Tensor,
        past_marks: Tensor | None = None,
        future_marks: Tensor | None = None,
    ) -> Tensor:
        """Forecast (B, horizon, n_series) from a window (B, lags, n_series).

        ``past_marks`` (B, lags, n_marks) are those of the window, ``future_marks``
        (B, label_len + horizon, n_marks) those of the decoder's start and the forecast.
        """
        check_window(window, self.lags, self.n_series)
        self._check_marks("past_marks", past_marks, len(window), self.lags)
        rows = self.label_len + self.horizon
        self._check_marks("future_marks", future_marks, len(window), rows)
        tokens = self.encode(self.embed(window, past_marks))
        start = F.pad(window[:, -self.label_len :], (0, 0, 0, self.horizon))
        out = self.decoder_embed(start, future_marks)
        for layer in self.decoder:
            out = layer(out, tokens)
        return self.head(self.decoder_norm(out[:, -self.horizon :]))

    def _check_marks(
        self, name: str, marks: Tensor | None, n_windows: int, n_rows: int
    ) -> None:
        given = None if marks is None else tuple(marks.shape)
        needed = (n_windows, n_rows, self.n_marks) if self.n_marks else None
        if given != needed:
            raise ValueError(
                f"{name} has the shape {given}, but n_marks={self.n_marks} needs "
                f"{needed}; None stands for no marks."
            )

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens (B, lags, D) to fewer (B, N, D)."""
        tokens = self.encoder[0](tokens)
        for distil, layer in zip(self.distil, self.encoder[1:], strict=True):
            tokens = layer(distil(tokens))
        return self.encoder_norm(tokens)

    def losses(
        self,
        window: Tensor,
        target: Tensor,
        observed: Tensor | None = None,
        past_marks: Tensor | None = None,
        future_marks: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Mean squared error of the forecast."""
        forecast = self(window, past_marks, future_marks)
        return {"loss_forecast": mean_squared_error(forecast, target)}

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
        label_len: int,
        n_marks: int,
        factor: int = 5,
        n_decoder_layers: int = 1,
        d_ff: int | None = None,
        dropout: float = 0.0,
    ) -> "Informer":
        """Build the network from a checkpoint of the Time-Series-Library.

        Parameters
        ----------
        params : mapping of str to array
            Arrays under their names there, which differ from those of the paper's code.
        lags, horizon, n_heads, n_series, n_layers, d_model, label_len, n_marks : int
            As in the constructor, with the values of the checkpoint.
        factor, n_decoder_layers : int
            As in the constructor.
        d_ff : int, optional
            As in the constructor.
        dropout : float
            For further training.

        Returns
        -------
        Informer
            With the checkpoint's parameters, in training mode. The keys sampled in
            evaluation are in no checkpoint: they are drawn from torch's global
            generator, as in any new network; `torch.manual_seed` repeats them.

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
            label_len=label_len,
            n_marks=n_marks,
            factor=factor,
            n_layers=n_layers,
            n_decoder_layers=n_decoder_layers,
            n_heads=n_heads,
            d_model=d_model,
            d_ff=d_ff,
            dropout=dropout,
        )
        # Counts of batches, and sines and cosines of places, are no parameters.
        without = r".*\.(num_batches_tracked|position_embedding\.pe)$"
        load_renamed(network, params, reference_name, without=without)
        return network


class Embedding(nn.Module):
    """Tokens from each row and its neighbours, its place and its marks."""

    def __init__(self, n_series: int, n_marks: int, d_model: int, dropout: float):
        super().__init__()
        self.rows = nn.Conv1d(
            n_series, d_model, 3, padding=1, padding_mode="circular", bias=False
        )
        nn.init.kaiming_normal_(self.rows.weight, nonlinearity="leaky_relu")
        if n_marks:
            self.marks = nn.Linear(n_marks, d_model, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, rows: Tensor, marks: Tensor | None) -> Tensor:
        tokens = self.rows(rows.mT).mT
        tokens = tokens + sinusoids(tokens)
        if marks is not None:
            tokens = tokens + self.marks(marks)
        return self.dropout(tokens)


def sinusoids(tokens: Tensor) -> Tensor:
    """Sines and cosines (N, D) of the places of tokens (..., N, D).

    At wavelengths up to 2 pi 10^4.
    """
    length, d_model = tokens.shape[-2:]
    frequency = 10_000 ** -(torch.arange(0, d_model, 2).to(tokens) / d_model)
    angle = torch.arange(length).to(tokens).unsqueeze(1) * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :d_model]


class ProbSparseAttention(nn.Module):
    """Attention of ``n_queries`` tokens to ``n_keys`` tokens.

    With ``causal`` the attention looks back alone, but its outputs mix places. No data
    of the future leak: the decoder's rows are zeros there.
    """

    # Of the sample in training; torch's own without.
    generator: torch.Generator | None = None

    def __init__(
        self,
        n_queries: int,
        n_keys: int,
        *,
        d_model: int,
        n_heads: int,
        factor: int,
        causal: bool = False,
    ):
        super().__init__()
        self.n_heads, self.causal, self.n_keys = n_heads, causal, n_keys
        self.n_top = sparse_number(factor, n_queries)
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)
        n_samples = sparse_number(factor, n_keys)
        self.register_buffer("sample", torch.randint(n_keys, (n_queries, n_samples)))

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        q, k, v = (
            split_heads(project(x), self.n_heads)
            for project, x in (
                (self.query, tokens),
                (self.key, others),
                (self.value, others),
            )
        )
        sample = self.sample
        if self.training:
            sample = torch.randint(
                self.n_keys,
                sample.shape,
                device=sample.device,
                generator=self.generator,
            )
        out = probsparse_attention(q, k, v, sample, self.n_top, causal=self.causal)
        # TSLib reads (B, H, N, d) as (B, N, H * d), without transposing.
        return self.out(out.transpose(1, 2).reshape(tokens.shape))


def sparse_number(factor: int, n: int) -> int:
    """How many of n keys are sampled, or of n queries attend."""
    return min(factor * math.ceil(math.log(n)), n)


class Layer(nn.Module):
    """Attention among the tokens and, in a decoder, to the encoded ones; an MLP."""

    def __init__(
        self,
        self_attention: ProbSparseAttention,
        cross_attention: ProbSparseAttention | None = None,
        *,
        d_model: int,
        d_ff: int,
        dropout: float,
    ):
        super().__init__()
        self.self_attention, self.cross_attention = self_attention, cross_attention
        self.expand = nn.Linear(d_model, d_ff)
        self.contract = nn.Linear(d_ff, d_model)
        n_norms = 2 if cross_attention is None else 3
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(n_norms))
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, encoded: Tensor | None = None) -> Tensor:
        u = self.norms[0](tokens + self.dropout(self.self_attention(tokens, tokens)))
        if self.cross_attention is not None:
            u = self.norms[1](u + self.dropout(self.cross_attention(u, encoded)))
        hidden = self.dropout(F.gelu(self.expand(u)))
        return self.norms[-1](u + self.dropout(self.contract(hidden)))


class Distilling(nn.Module):
    """Convolution and pooling over time, (B, N, D) to (B, (N + 1) // 2 + 1, D)."""

    def __init__(self, d_model: int):
        super().__init__()
        self.conv = nn.Conv1d(d_model, d_model, 3, padding=2, padding_mode="circular")
        self.norm = nn.BatchNorm1d(d_model)

    def forward(self, tokens: Tensor) -> Tensor:
        out = F.elu(self.norm(self.conv(tokens.mT)))
        return F.max_pool1d(out, 3, stride=2, padding=1).mT


_REFERENCE_NAMES = {
    "decoder_embed": "dec_embedding",
    "embed": "enc_embedding",
    "rows": "value_embedding.tokenConv",
    "marks": "temporal_embedding.embed",
    "encoder_norm": "encoder.norm",
    "decoder_norm": "decoder.norm",
    "encoder": "encoder.attn_layers",
    "decoder": "decoder.layers",
    "distil": "encoder.conv_layers",
    "conv": "downConv",
    "query": "query_projection",
    "key": "key_projection",
    "value": "value_projection",
    "out": "out_projection",
    "expand": "conv1",
    "contract": "conv2",
    "norms.0": "norm1",
    "norms.1": "norm2",
    "norms.2": "norm3",
    "head": "decoder.projection",
}


def reference_name(name: str) -> str:
    """Name in the Time-Series-Library of one of our parameters."""
    if name.startswith("encoder."):
        name = name.replace("self_attention", "attention")
    ours = "|".join(map(re.escape, _REFERENCE_NAMES))
    return re.sub(ours, lambda found: _REFERENCE_NAMES[found[0]], name)
