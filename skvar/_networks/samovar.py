"""SAMoVAR: linear Transformers re-arranged so that the stack stays a VAR.

Lu & Yang (2025), "Linear Transformers as VAR Models: Aligning Autoregressive Attention
Mechanisms with Autoregressive Forecasting", ICML, arXiv:2502.07244.
"""

import math
import re
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._attention import linear_attention
from .layers import (
    HeadNorm,
    ResidualMLP,
    check_heads,
    load_renamed,
    roll_out,
    split_heads,
)


class SAMoVAR(nn.Module):
    """Structural aligned mixture of VARs.

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
    scaled : bool
        Whether the sum of a token, the t-th with context and main tokens counted, is
        divided by ``width * sqrt(t)``, so that layers neither grow with the sequence
        nor with depth; the paper does not.
    predictor : {"linear_attention", "fixed_var"}
        Queries and values computed from the tokens, or free parameters of each
        series, position and head (the paper's "FixedVAR" ablation).
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
        scaled: bool = False,
        predictor: str = "linear_attention",
    ):
        super().__init__()
        check_heads(n_heads, d_model)
        if predictor not in ("linear_attention", "fixed_var"):
            raise ValueError(
                "predictor must be 'linear_attention' or 'fixed_var', "
                f"not {predictor!r}."
            )
        self.lags, self.horizon = lags, horizon
        self.n_series, self.n_targets = n_series, n_targets or n_series
        self.token_length = token_length or horizon
        if self.horizon > self.token_length and self.n_targets < n_series:
            raise ValueError(
                f"horizon={horizon} exceeds token_length={self.token_length}, which "
                "needs every series to be a target; set token_length=horizon."
            )
        self.tokens = ARXTokens(
            n_segments=math.ceil(lags / self.token_length),
            token_length=self.token_length,
            n_series=n_series,
            n_targets=self.n_targets,
            d_model=d_model,
            dropout=dropout,
        )
        self.var = VARStage(
            n_tokens=2 * self.tokens.n_segments,
            n_targets=self.n_targets,
            n_layers=n_layers,
            n_heads=n_heads,
            d_model=d_model,
            dropout=dropout,
            scaled=scaled,
            fixed=predictor == "fixed_var",
        )
        n_recent = min(self.token_length, lags)
        centre = torch.full((n_recent,), 1 / n_recent)
        self.register_buffer("centre", centre)
        self.head_norm = nn.RMSNorm(d_model, eps=1e-5)
        self.head = nn.Linear(d_model, self.token_length)
        self._initialise(n_layers)

    def _initialise(self, n_layers: int) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for mlp in self.var.mlps:
            std = 0.02 / math.sqrt(2 * n_layers)
            nn.init.normal_(mlp.contract.weight, std=std)

    def forward(self, window: Tensor) -> Tensor:
        """Forecast (B, horizon, n_targets) from a window (B, lags, n_series)."""
        return roll_out(self._next_token, window, self.horizon)

    def losses(self, window: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Mean squared errors of every next segment (normalised) and the forecast."""
        segments, predicted, forecast = self._next_tokens(window)
        next_token = predicted.new_zeros(())
        if segments.shape[1] > 1:
            next_token = F.mse_loss(predicted[:, :-1], segments[:, 1:])
        forecast = roll_out(self._next_token, window, self.horizon, first=forecast)
        return {
            "loss_next_token": next_token,
            "loss_forecast": F.mse_loss(forecast, target),
        }

    def _next_token(self, window: Tensor) -> Tensor:
        """The forecast of one token."""
        return self._next_tokens(window)[2]

    def _next_tokens(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each target's segments, the segment predicted after each, the forecast.

        Segments and predictions are normalised and of shape
        (B * n_targets, n_segments, token_length).
        """
        segments, centre, scale, _ = self.normalise(window)
        main = segments[:, -self.n_targets :]
        predicted = self.predict(main, self.tokens.mixed(segments))
        last = predicted[:, -1].unflatten(0, (-1, self.n_targets)).mT
        targets = slice(self.n_series - self.n_targets, None)
        forecast = last * scale[..., targets] + centre[..., targets]
        return main.flatten(0, 1), predicted, forecast

    def normalise(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Segments (B, C, n_segments, token_length), and how they came about.

        Zeros fill the first segment on the left. Centre, scale and the divisor, which
        differs from the scale for flat series, have shape (B, 1, C).
        """
        centre = self.centre @ window[:, -len(self.centre) :]
        centre = centre.unsqueeze(1)
        correction = min(1, self.lags - 1)
        scale = window.std(dim=1, keepdim=True, correction=correction) + 1e-8
        # A flat series gives zeros whatever the scale; 1 keeps its gradient finite.
        divisor = torch.where(scale < 1e-5, torch.ones_like(scale), scale)
        rows = (window - centre) / divisor
        padded = F.pad(rows.mT, (-self.lags % self.token_length, 0))
        return padded.unflatten(-1, (-1, self.token_length)), centre, scale, divisor

    def predict(self, main: Tensor, mixed: Tensor) -> Tensor:
        """Next segments (B * n_targets, n_segments, token_length) of every target.

        ``main`` and ``mixed`` are the targets' own segments and the mixtures of all
        series, of shape (B, n_targets, n_segments, token_length).
        """
        return self.head(self.head_norm(self.var(self.tokens(main, mixed))))

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
    ) -> "SAMoVAR":
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
        SAMoVAR
            With the checkpoint's parameters, in training mode.

        Raises
        ------
        ValueError
            If ``params`` lacks an array of this network.
        """
        fixed = "transformer.attn.0.fixed_q" in params
        network = cls(
            lags=lags,
            horizon=horizon,
            n_series=n_series,
            n_targets=n_targets,
            n_layers=n_layers,
            n_heads=n_heads,
            d_model=d_model,
            dropout=dropout,
            predictor="fixed_var" if fixed else "linear_attention",
        )
        n_segments = network.tokens.n_segments
        load_renamed(
            network, _used_positions(params, n_segments), rename=_reference_name
        )
        return network


class ARXTokens(nn.Module):
    """Segments of the series as pairs of a context and a main token per target."""

    def __init__(
        self,
        *,
        n_segments: int,
        token_length: int,
        n_series: int,
        n_targets: int,
        d_model: int,
        dropout: float,
    ):
        super().__init__()
        self.n_segments, self.n_targets = n_segments, n_targets
        self.main = nn.Linear(token_length, d_model)
        self.main_norm = nn.RMSNorm(d_model, eps=1e-5)
        self.mix = nn.Linear(n_series, n_targets)
        self.context = nn.Linear(token_length, d_model)
        self.context_norm = nn.RMSNorm(d_model, eps=1e-5)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.RMSNorm(d_model, eps=1e-5)

        def embedding(*shape: int) -> nn.Parameter:
            return nn.Parameter(0.02 * torch.randn(*shape, d_model))

        self.position = embedding(n_segments)
        self.kind = embedding(2)
        self.series_position = embedding(n_targets, 2 * n_segments)
        self.series_kind = embedding(n_targets, 2)

    def mixed(self, segments: Tensor) -> Tensor:
        """One mixture of all series for each target, (B, C, N, s) to (B, T, N, s)."""
        return self.mix(segments.movedim(1, -1)).movedim(-1, 1)

    def forward(self, main: Tensor, mixed: Tensor) -> Tensor:
        """Segments (B, T, N, s) to tokens (B * T, 2 N, D), context before main."""
        context = self.context_norm(self.context(mixed))
        main = self.main_norm(self.main(main))
        pairs = self.dropout(torch.stack([context, main], dim=3))
        kind = self.kind + self.series_kind.unsqueeze(1)
        tokens = (pairs + self.position.unsqueeze(1) + kind).flatten(2, 3)
        tokens = tokens + self.series_position
        return self.norm(tokens).flatten(0, 1)


class VARStage(nn.Module):
    """Residual MLPs, then linear-attention layers that all keep x0's channels.

    Everything after ``x0`` is linear in the keys, which start as ``x0``: the whole
    stack is one VAR on the tokens (the paper's section 4).
    """

    def __init__(
        self,
        *,
        n_tokens: int,
        n_targets: int,
        n_layers: int,
        n_heads: int,
        d_model: int,
        dropout: float,
        scaled: bool,
        fixed: bool,
    ):
        super().__init__()
        width = d_model // n_heads
        self.n_heads = n_heads
        count = torch.arange(1.0, n_tokens + 1).reshape(-1, 1, 1)
        scale = 1 / (width * count.sqrt()) if scaled else torch.ones_like(count)
        self.register_buffer("scale", scale, persistent=False)
        self.mlps = nn.ModuleList(
            ResidualMLP(d_model, 4 * d_model, dropout) for _ in range(n_layers)
        )
        self.norm = nn.RMSNorm(d_model, eps=1e-5)
        self.predictors = nn.ModuleList(
            FixedVAR(n_targets, n_tokens, n_heads, width)
            if fixed
            else LinearAttentionPredictor(n_heads, width)
            for _ in range(n_layers)
        )
        self.dropout = nn.Dropout(dropout)
        std = math.sqrt(0.02 / math.sqrt(width))
        self.lu = nn.Parameter(std * torch.randn(n_heads, width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B * n_targets, 2 N, D) to the main tokens' (B * n_targets, N, D)."""
        x0, weights = self.weights(tokens)
        keys, total = x0, 0.0
        for q, v in weights:
            keys = self.dropout(linear_attention(q, keys, v)[0])
            total = total + keys
        # The last operations touch the main tokens alone.
        out = x0[:, 1::2] + torch.einsum(
            "bnhi,hij->bnhj", total[:, 1::2], self.structural_matrix()
        )
        return out.flatten(-2)

    def weights(self, tokens: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """First keys x0 and every layer's queries and values, (B * T, 2 N, H, d)."""
        u = tokens
        for mlp in self.mlps:
            u = mlp(u)
        x0 = split_heads(self.norm(u), self.n_heads)
        weights = [predictor(x0) for predictor in self.predictors]
        return x0, [(q * self.scale, v) for q, v in weights]

    def structural_matrix(self) -> Tensor:
        """S = L U per head (H, d, d), invertible by construction."""
        lower = self.lu.tril(-1) + torch.eye(self.lu.shape[-1]).to(self.lu)
        diagonal = F.softplus(self.lu.diagonal(dim1=-2, dim2=-1))
        return lower @ (self.lu.triu(1) + torch.diag_embed(diagonal))


class LinearAttentionPredictor(nn.Module):
    """Queries and values of one layer as projections of x0, normalised per head."""

    def __init__(self, n_heads: int, width: int):
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(n_heads * width, n_heads * width)
        self.value = nn.Linear(n_heads * width, n_heads * width)
        self.query_norm = HeadNorm(n_heads, width)
        self.value_norm = HeadNorm(n_heads, width)

    def forward(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        flat = x0.flatten(-2)
        q = self.query_norm(split_heads(self.query(flat), self.n_heads))
        return q, self.value_norm(split_heads(self.value(flat), self.n_heads))


class FixedVAR(nn.Module):
    """Queries and values of one layer as free parameters: a VAR with fixed weights."""

    def __init__(self, n_targets: int, n_tokens: int, n_heads: int, width: int):
        super().__init__()
        shape = (n_targets, n_tokens, n_heads, width)
        self.query = nn.Parameter(0.02 * torch.randn(shape))
        self.value = nn.Parameter(0.02 * torch.randn(shape))

    def forward(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        repeats = x0.shape[0] // self.query.shape[0]
        return tuple(
            w.expand(repeats, *w.shape).flatten(0, 1) for w in (self.query, self.value)
        )


_REFERENCE_MODULES = {
    "tokens.main": "tokenizer.tokenizer",
    "tokens.main_norm": "tokenizer.input_norm_main",
    "tokens.mix": "tokenizer.context_channel_projection",
    "tokens.context": "tokenizer.context_temporal_projection",
    "tokens.context_norm": "tokenizer.input_norm_ctx",
    "tokens.norm": "pre_norm",
    "var.norm": "transformer.VAR_input_norm",
    "head_norm": "final_norm",
    "head": "tokenizer.tokenizer_output",
}
_REFERENCE_PARAMETERS = {
    "tokens.position": "pos_emb.weight",
    "tokens.kind": "pos_emb_2",
    "tokens.series_position": "channel_emb",
    "tokens.series_kind": "channel_emb_pos",
    "var.lu": "transformer.generate_S.LU",
}
_REFERENCE_LAYERS = {
    "norm.weight": "transformer.lns.{}.weight",
    "expand.weight": "transformer.mlps.{}.c_fc.weight",
    "expand.bias": "transformer.mlps.{}.c_fc.bias",
    "contract.weight": "transformer.mlps.{}.c_proj.weight",
    "contract.bias": "transformer.mlps.{}.c_proj.bias",
    "query.weight": "transformer.attn.{}.q_proj.weight",
    "query.bias": "transformer.attn.{}.q_proj.bias",
    "value.weight": "transformer.attn.{}.v_proj.weight",
    "value.bias": "transformer.attn.{}.v_proj.bias",
    "query_norm.weight": "transformer.attn.{}.q_norm.weight",
    "value_norm.weight": "transformer.attn.{}.v_norm.weight",
    "query": "transformer.attn.{}.fixed_q",
    "value": "transformer.attn.{}.fixed_v",
}


def _reference_name(name: str) -> str:
    """Name in the paper's code of one of our parameters."""
    if name in _REFERENCE_PARAMETERS:
        return _REFERENCE_PARAMETERS[name]
    layer = re.fullmatch(r"var\.(?:mlps|predictors)\.(\d+)\.(.+)", name)
    if layer:
        return _REFERENCE_LAYERS[layer[2]].format(layer[1])
    module, _, parameter = name.rpartition(".")
    return f"{_REFERENCE_MODULES[module]}.{parameter}"


def _used_positions(params: Mapping, n_segments: int) -> dict[str, np.ndarray]:
    """The paper's code allocates more positions than there are tokens."""
    used = dict(params)
    for name, array in params.items():
        if name == "pos_emb.weight":
            used[name] = array[:n_segments]
        elif ".fixed_" in name:
            used[name] = array[:, :, : 2 * n_segments]
    return used
