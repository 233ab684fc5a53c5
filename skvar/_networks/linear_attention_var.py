"""Linear attention on the observed series themselves: an exact dynamic VAR(p).

Lu & Yang (2025), arXiv:2502.07244, section 3: with the observation as key, each past
value and the present query form a rank-one matrix of a vector autoregression.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._attention import linear_attention
from .layers import ResidualMLP, mean_squared_error, split_heads

# Standard deviations beyond which a row counts no more for tracking.
_LARGE = 5.0


class LinearAttentionVAR(nn.Module):
    """One step ahead by a VAR whose matrices depend on the window.

    ``x_{t+1} = c + sum_j (A_j + sum_h v^h_{t-j} q^h_t^T) x_{t-j}`` with a static part
    ``A, c`` (a given classical VAR plus a learned correction) and a dynamic part by
    linear attention. More layers stack with the output of one as the keys of the
    next, as in SAMoVAR. A new network is its static part alone.

    Parameters
    ----------
    lags : int
        The order p.
    n_series : int
        Series in a window.
    attention_lags : int, optional
        The last lags, to which attention and learned corrections are confined; all by
        default.
    tracking_rows : int
        Time steps before the lags, from which a ``MatrixTracker`` lets the matrices
        drift; a window has ``lags + tracking_rows`` of them.
    n_targets : int, optional
        How many series to forecast, the last ones; all by default.
    n_layers : int
        Depth of the dynamic part; 0 leaves the given classical VAR.
    n_heads : int
        Rank-one matrices per lag and layer.
    d_model : int
        Width of the tokens from which queries and values are projected.
    dropout : float
        Share of activations dropped in training.
    """

    horizon = 1

    def __init__(
        self,
        *,
        lags: int,
        n_series: int,
        attention_lags: int | None = None,
        tracking_rows: int = 0,
        n_targets: int | None = None,
        n_layers: int = 1,
        n_heads: int = 4,
        d_model: int = 32,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.order, self.lags, self.n_series = lags, lags + tracking_rows, n_series
        self.n_targets = n_targets or n_series
        self.attention_lags = attention_lags or lags
        shape = (self.attention_lags, self.n_targets, n_series)
        self.register_buffer("matrices", torch.zeros(lags, *shape[1:]))
        self.register_buffer("intercept", torch.zeros(self.n_targets))
        if n_layers:
            self.matrices_correction = nn.Parameter(torch.zeros(shape))
            self.intercept_correction = nn.Parameter(torch.zeros(self.n_targets))
            self.embed = nn.Linear(n_series, d_model)
            self.position = nn.Parameter(
                0.02 * torch.randn(self.attention_lags, d_model)
            )
            self.mlp = ResidualMLP(d_model, 4 * d_model, dropout)
        self.layers = nn.ModuleList(
            DynamicLayer(d_model, n_heads, n_series) for _ in range(n_layers)
        )
        sizes = self.n_targets, self.attention_lags * n_series
        self.tracker = (
            MatrixTracker(tracking_rows, n_heads, *sizes) if tracking_rows else None
        )

    @property
    def n_parameters(self) -> int:
        """Numbers estimated in closed form or trained."""
        closed = self.matrices.numel() + self.intercept.numel()
        return closed + sum(parameter.numel() for parameter in self.parameters())

    @property
    def is_static(self) -> bool:
        """Whether nothing learned has a part in the forecast."""
        learned = [p for layer in self.layers for p in layer.value.parameters()]
        if self.layers:
            learned += [self.matrices_correction, self.intercept_correction]
        if self.tracker is not None:
            learned += [self.tracker.total_gain]
        return not any(parameter.any() for parameter in learned)

    def forward(self, window: Tensor) -> Tensor:
        """Forecast (B, 1, n_targets) from a window of so many rows and series."""
        recent = window[:, -self.order :]
        forecast = self.apply_var(recent, self.weights(window))
        if self.tracker is not None:
            drift, recent = self.drift(window), recent[:, -self.attention_lags :]
            forecast = forecast + torch.einsum("blij,blj->bi", drift.flip(1), recent)
        return forecast.unsqueeze(1)

    def drift(self, window: Tensor) -> Tensor:
        """What tracking adds to the matrices, (B, attention_lags, targets, series)."""
        return self._by_lag(self.tracker(*self.errors_of(window)))

    def drift_deviations(self, window: Tensor, along: Tensor, free: Tensor) -> Tensor:
        """Deviations of draws of `drift` from it, as of its tracker."""
        parts = self.errors_of(window)
        return self._by_lag(self.tracker.deviations(*parts, along, free))

    def errors_of(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Errors of the static VAR, lagged rows before them, and where both are seen.

        Of shapes (B, N, n_targets), (B, N, attention_lags * n_series) and (B, N).
        """
        matrices, intercept = self.static_var()
        newest_first = window.unfold(1, self.order, 1).flip(-1).mT.flatten(-2)
        lagged, after = newest_first[:, :-1], window[:, self.order :]
        expected = intercept + lagged @ matrices.transpose(0, 1).flatten(1).T
        errors = after[..., -self.n_targets :] - expected
        # Rows that repeat the first one stand for a past that was not observed.
        seen = (after != window[:, :1]).any(dim=-1).cumsum(dim=1) > 0
        within = lagged[..., : self.attention_lags * self.n_series]
        # No single outlier may own the matrices.
        return errors.clamp(-_LARGE, _LARGE), within.clamp(-_LARGE, _LARGE), seen

    def _by_lag(self, drift: Tensor) -> Tensor:
        return drift.unflatten(2, (self.attention_lags, -1)).transpose(1, 2)

    def losses(
        self, window: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Mean squared error one step ahead."""
        return {"loss_forecast": mean_squared_error(self(window), target)}

    def static_var(self) -> tuple[Tensor, Tensor]:
        """Matrices (p, n_targets, n_series), lag 1 first, and intercept."""
        if not self.layers:
            return self.matrices, self.intercept
        correction = self.within_order(self.matrices_correction)
        return self.matrices + correction, self.intercept + self.intercept_correction

    def within_order(self, matrices: Tensor) -> Tensor:
        """Matrices (..., attention_lags, o, i), lag 1 first, with zeros up to lag p."""
        missing = self.order - self.attention_lags
        return F.pad(matrices, (0, 0, 0, 0, 0, missing)) if missing else matrices

    def weights(self, window: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Queries and values (B, attention_lags, n_heads, n_series) of every layer."""
        if not self.layers:
            return []
        recent = window[:, -self.attention_lags :]
        tokens = self.mlp(self.embed(recent) + self.position)
        return [layer(tokens) for layer in self.layers]

    def apply_var(self, keys: Tensor, weights: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The VAR without drift, with given weights: affine in the keys (B, p, C)."""
        matrices, intercept = self.static_var()
        forecast = intercept + torch.einsum("lij,blj->bi", matrices.flip(0), keys)
        keys = keys[:, -self.attention_lags :]
        for q, v in weights:
            per_head = keys.unsqueeze(2).expand(-1, -1, q.shape[2], -1)
            keys = linear_attention(q, per_head, v)[0].sum(dim=2)
            forecast = forecast + keys[:, -1, -self.n_targets :]
        return forecast


class DynamicLayer(nn.Module):
    """Queries and values of one layer, from tokens that know content and lag."""

    def __init__(self, d_model: int, n_heads: int, n_series: int):
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.RMSNorm(d_model, eps=1e-5)
        self.query = nn.Linear(d_model, n_heads * n_series)
        self.value = nn.Linear(d_model, n_heads * n_series)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.norm(tokens)
        q, v = self.query(tokens), self.value(tokens)
        return split_heads(q, self.n_heads), split_heads(v, self.n_heads)


class MatrixTracker(nn.Module):
    """Matrices that follow the recent errors of the static VAR.

    Two states of linear attention with a learned decay, ``B = sum decay^age e x^T`` and
    ``G = sum decay^age x x^T``, hold the errors e and the lagged rows x before them.
    They give the discounted ridge regression of the errors on the rows, as in the mesa
    layer (von Oswald et al. 2023, arXiv:2309.05858), here with learned directions M_r
    beside free entries D: ``gain (D + sum_r z_r M_r)``. Penalties draw D and z to zero.
    Errors are in units of a factor of their covariance, and drifts around a centre.

    What is learned is relative to a start, towards which weight decay draws it: nothing
    is added to the matrices, or what `skvar._closed_form.forgetting` chose.

    Parameters
    ----------
    n_rows : int
        Rows that it sees; sets the decay at the start.
    n_directions, n_targets, n_inputs : int
    """

    def __init__(self, n_rows: int, n_directions: int, n_targets: int, n_inputs: int):
        super().__init__()
        shape = n_directions, n_targets, n_inputs
        scale = 0.3 / math.sqrt(n_inputs)
        penalties = torch.zeros(1 + n_directions)
        penalties[0] = 2.0
        self.register_buffer("first_decay_logit", torch.tensor(math.log(n_rows / 4)))
        self.register_buffer("first_log_penalty", penalties)
        self.register_buffer("first_gain", torch.zeros(()))
        self.register_buffer("first_directions", scale * torch.randn(shape))
        self.register_buffer("factor", torch.eye(n_targets))
        self.register_buffer("centre", torch.zeros(n_targets, n_inputs))
        self.register_buffer("uncertainty", torch.zeros(n_inputs, n_inputs))
        self.decay_logit = nn.Parameter(torch.zeros(()))
        self.log_penalty = nn.Parameter(torch.zeros(1 + n_directions))
        self.gain = nn.Parameter(torch.zeros(()))
        self.directions = nn.Parameter(torch.zeros(shape))

    @property
    def is_off(self) -> bool:
        """Whether nothing is added to the matrices."""
        return not self.total_gain.any()

    @property
    def total_gain(self) -> Tensor:
        """Part of the regression that is added to the matrices."""
        return self.first_gain + self.gain

    @property
    def decay(self) -> Tensor:
        """Share of its weight that a row keeps when the next one comes."""
        return torch.sigmoid(self.first_decay_logit + self.decay_logit)

    @property
    def penalties(self) -> Tensor:
        """Of free entries, then of every direction."""
        return (self.first_log_penalty + self.log_penalty).exp()

    @torch.no_grad()
    def start_at(
        self,
        decay: float,
        penalty: float,
        direction_penalty: float,
        directions: Tensor,
        factor: Tensor,
        centre: Tensor,
        uncertainty: Tensor,
    ) -> None:
        """Begin with a regression in closed form, without any other directions."""
        self.first_decay_logit.fill_(math.log(decay / (1 - decay)))
        self.first_log_penalty[0] = math.log(penalty)
        self.first_log_penalty[1:] = math.log(direction_penalty)
        self.first_gain.fill_(1.0)
        self.first_directions.zero_()
        self.first_directions[: len(directions)] = directions
        self.factor.copy_(factor)
        self.centre.copy_(centre)
        self.uncertainty.copy_(uncertainty)

    def forward(self, errors: Tensor, lagged: Tensor, seen: Tensor) -> Tensor:
        """Matrices (B, n_targets, n_inputs).

        From errors (B, N, n_targets) and rows (B, N, n_inputs) where ``seen`` (B, N).
        """
        prior = self.penalties[0] * torch.eye(lagged.shape[-1]).to(lagged)
        _, kept, free, sizes, hits = self._regress(errors, lagged, seen, prior)
        drift = self._joined(torch.linalg.solve(sizes, hits), free, kept)
        return self.total_gain * (self.factor @ (self.centre + drift))

    def deviations(
        self,
        errors: Tensor,
        lagged: Tensor,
        seen: Tensor,
        along: Tensor,
        free: Tensor,
    ) -> Tensor:
        """Deviations (B, n_targets, n_inputs) of draws from the mean of the posterior.

        Made of normal numbers (B, n_directions) and (B, n_targets, n_inputs). What is
        not known of the static VAR has the variance ``uncertainty`` beside that of the
        free entries.
        """
        identity = torch.eye(lagged.shape[-1]).to(lagged)
        prior = torch.linalg.inv(identity / self.penalties[0] + self.uncertainty)
        ridge, kept, _, sizes, _ = self._regress(errors, lagged, seen, prior)
        root = torch.linalg.cholesky(sizes).mT
        along = torch.linalg.solve_triangular(root, along.unsqueeze(-1), upper=True)
        root = torch.linalg.cholesky(ridge)
        free = torch.linalg.solve_triangular(root, free, upper=False, left=False)
        return self.factor @ self._joined(along.squeeze(-1), free, kept)

    def _regress(
        self, errors: Tensor, lagged: Tensor, seen: Tensor, prior: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Sums of both regressions, and the free entries alone, as if z were zero.

        The precision of the free entries is at first ``prior``.
        """
        errors = torch.linalg.solve_triangular(self.factor, errors.mT, upper=False)
        errors = errors - self.centre @ lagged.mT
        weighted = lagged * (self._discount(lagged.shape[1]) * seen).unsqueeze(-1)
        gram, cross = weighted.mT @ lagged, weighted.mT @ errors.mT
        ridge = gram + prior
        kept = torch.linalg.solve(ridge, gram)
        free = torch.linalg.solve(ridge, cross)
        # What free entries leave of both sums.
        directions = self.first_directions + self.directions
        moved = torch.einsum("roi,bij->broj", directions, prior @ kept)
        sizes = torch.einsum("broj,soj->brs", moved, directions)
        hits = torch.einsum("roi,bio->br", directions, prior @ free)
        return ridge, kept, free.mT, sizes + torch.diag(self.penalties[1:]), hits

    def _joined(self, along: Tensor, free: Tensor, kept: Tensor) -> Tensor:
        """Moves along the directions, and free entries less what these take."""
        directions = self.first_directions + self.directions
        moves = torch.einsum("br,roi->boi", along, directions)
        return moves + free - moves @ kept.mT

    def _discount(self, n_rows: int) -> Tensor:
        """Weights (N,) of rows by their age at the row that is forecast."""
        age = torch.arange(n_rows, 0, -1, device=self.decay_logit.device)
        log_decay = F.logsigmoid(self.first_decay_logit + self.decay_logit)
        # Smaller weights change nothing, but their subnormal numbers are slow.
        return (log_decay * age).clamp_min(-60).exp()
