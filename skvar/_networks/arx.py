"""What networks on autoregressive tokens with exogenous context share.

Lu & Yang (2025), arXiv:2502.07244, sections 3 and 4: the tokens, the normalisation of a
window, the losses and the read-out of SAMoVAR and of its misaligned baseline.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import (
    Dropout,
    check_heads,
    check_sizes,
    check_window,
    mean_squared_error,
    roll_out,
)


class ARXNetwork(nn.Module):
    """A network that predicts the next segment after every main token.

    A subclass defines `encode`, and calls `_add_readout` when its own parts are there.

    Parameters
    ----------
    lags, horizon, n_series, n_targets, token_length, n_heads, d_model, dropout
        As in `SAMoVAR`.
    kinds : bool
        As in `ARXTokens`.
    """

    def __init__(
        self,
        *,
        lags: int,
        horizon: int,
        n_series: int,
        n_targets: int | None,
        token_length: int | None,
        n_heads: int,
        d_model: int,
        dropout: float,
        kinds: bool,
    ):
        super().__init__()
        n_targets = n_series if n_targets is None else n_targets
        token_length = horizon if token_length is None else token_length
        check_sizes(
            lags=lags,
            horizon=horizon,
            n_series=n_series,
            n_targets=n_targets,
            token_length=token_length,
        )
        check_heads(n_heads, d_model)
        if n_targets > n_series:
            raise ValueError(
                f"n_targets={n_targets} exceeds n_series={n_series}; the targets are "
                "the last ones of the series."
            )
        self.lags, self.horizon, self.token_length = lags, horizon, token_length
        self.n_series, self.n_targets = n_series, n_targets
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
            kinds=kinds,
        )

    def _add_readout(self, d_model: int) -> None:
        """Add the head, and initialise every linear map."""
        n_recent = min(self.token_length, self.lags)
        centre = torch.full((n_recent,), 1 / n_recent)
        self.register_buffer("centre", centre)
        self.head_norm = nn.RMSNorm(d_model, eps=1e-5)
        self.head = nn.Linear(d_model, self.token_length)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def encode(self, tokens: Tensor) -> Tensor:
        """(B * n_targets, 2 N, D) to the main tokens' (B * n_targets, N, D)."""
        raise NotImplementedError

    def forward(self, window: Tensor) -> Tensor:
        """Forecast (B, horizon, n_targets) from a window (B, lags, n_series)."""
        return roll_out(self._next_token, window, self.horizon)

    def losses(
        self, window: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Mean squared errors of every next segment (normalised) and the forecast."""
        segments, predicted, forecast = self._next_tokens(window)
        if observed is not None:
            among = self._segments(observed)[:, -self.n_targets :].flatten(0, 1)
            segments = segments.where(among, torch.nan)
        forecast = roll_out(self._next_token, window, self.horizon, first=forecast)
        return {
            "loss_next_token": mean_squared_error(predicted[:, :-1], segments[:, 1:]),
            "loss_forecast": mean_squared_error(forecast, target),
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
        check_window(window, self.lags, self.n_series)
        centre = self.centre @ window[:, -len(self.centre) :]
        centre = centre.unsqueeze(1)
        correction = min(1, self.lags - 1)
        scale = window.std(dim=1, keepdim=True, correction=correction) + 1e-8
        # A flat series gives zeros whatever the scale; 1 keeps its gradient finite.
        divisor = torch.where(scale < 1e-5, torch.ones_like(scale), scale)
        rows = (window - centre) / divisor
        return self._segments(rows), centre, scale, divisor

    def _segments(self, rows: Tensor) -> Tensor:
        """Rows (B, lags, C) to segments (B, C, n_segments, token_length)."""
        padded = F.pad(rows.mT, (-self.lags % self.token_length, 0))
        return padded.unflatten(-1, (-1, self.token_length))

    def predict(self, main: Tensor, mixed: Tensor) -> Tensor:
        """Next segments (B * n_targets, n_segments, token_length) of every target.

        ``main`` and ``mixed`` are the targets' own segments and the mixtures of all
        series, of shape (B, n_targets, n_segments, token_length).
        """
        return self.head(self.head_norm(self.encode(self.tokens(main, mixed))))


class ARXTokens(nn.Module):
    """Segments of the series as pairs of a context and a main token per target.

    Embedded are each pair's position and each token's kind, or with ``kinds=False``
    each token's position.
    """

    def __init__(
        self,
        *,
        n_segments: int,
        token_length: int,
        n_series: int,
        n_targets: int,
        d_model: int,
        dropout: float,
        kinds: bool,
    ):
        super().__init__()
        self.n_segments, self.n_targets = n_segments, n_targets
        self.main = nn.Linear(token_length, d_model)
        self.main_norm = nn.RMSNorm(d_model, eps=1e-5)
        self.mix = nn.Linear(n_series, n_targets)
        self.context = nn.Linear(token_length, d_model)
        self.context_norm = nn.RMSNorm(d_model, eps=1e-5)
        self.dropout = Dropout(dropout)
        self.norm = nn.RMSNorm(d_model, eps=1e-5)

        def embedding(*shape: int) -> nn.Parameter:
            return nn.Parameter(0.02 * torch.randn(*shape, d_model))

        self.position = embedding(n_segments if kinds else 2 * n_segments)
        self.kind = embedding(2) if kinds else None
        self.series_position = embedding(n_targets, 2 * n_segments)
        self.series_kind = embedding(n_targets, 2) if kinds else None

    def mixed(self, segments: Tensor) -> Tensor:
        """One mixture of all series for each target, (B, C, N, s) to (B, T, N, s)."""
        return self.mix(segments.movedim(1, -1)).movedim(-1, 1)

    def forward(self, main: Tensor, mixed: Tensor) -> Tensor:
        """Segments (B, T, N, s) to tokens (B * T, 2 N, D), context before main."""
        context = self.context_norm(self.context(mixed))
        main = self.main_norm(self.main(main))
        pairs = self.dropout(torch.stack([context, main], dim=3))
        pairs = pairs + self.position.unflatten(0, (self.n_segments, -1))
        if self.kind is not None:
            pairs = pairs + (self.kind + self.series_kind.unsqueeze(1))
        tokens = pairs.flatten(2, 3) + self.series_position
        return self.norm(tokens).flatten(0, 1)


# The paper's code allocates and never uses them, but for the norms in the baseline.
REFERENCE_WITHOUT = r"transformer\.(pns|layer_attn)\."

REFERENCE_NAMES = {
    "tokens.main": "tokenizer.tokenizer",
    "tokens.main_norm": "tokenizer.input_norm_main",
    "tokens.mix": "tokenizer.context_channel_projection",
    "tokens.context": "tokenizer.context_temporal_projection",
    "tokens.context_norm": "tokenizer.input_norm_ctx",
    "tokens.norm": "pre_norm",
    "tokens.position": "pos_emb.weight",
    "tokens.kind": "pos_emb_2",
    "tokens.series_position": "channel_emb",
    "tokens.series_kind": "channel_emb_pos",
    "head_norm": "final_norm",
    "head": "tokenizer.tokenizer_output",
}


def used_positions(
    params: Mapping[str, np.ndarray], tokens: ARXTokens
) -> dict[str, np.ndarray]:
    """The paper's code allocates more positions than there are tokens."""
    used = dict(params)
    for name, array in params.items():
        if name == "pos_emb.weight":
            used[name] = array[: len(tokens.position)]
        elif ".fixed_" in name:
            used[name] = array[:, :, : 2 * tokens.n_segments]
    return used
