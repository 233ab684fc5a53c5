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
        Time steps before the lags from which `MatrixTracker` lets the matrices drift; a
        window has ``lags + tracking_rows`` of them.
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
            learned += [self.tracker.gain, *self.tracker.mix.parameters()]
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
        matrices, intercept = self.static_var()
        newest_first = window.unfold(1, self.order, 1).flip(-1).mT.flatten(-2)
        lagged, after = newest_first[:, :-1], window[:, self.order :]
        expected = intercept + lagged @ matrices.transpose(0, 1).flatten(1).T
        errors = after[..., -self.n_targets :] - expected
        # Rows that repeat the first one stand for a past that was not observed.
        seen = (after != window[:, :1]).any(dim=-1).cumsum(dim=1) > 0
        within = lagged[..., : self.attention_lags * self.n_series]
        drift = self.tracker(errors, within, seen)
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

    Two states of linear attention with learned decays, ``B = sum decay^age e x^T`` and
    ``G = sum decay^age x x^T``, hold the errors e and the lagged rows x before them.
    From the first pair comes the discounted ridge regression of the errors,
    ``W = B (G + rho I)^-1``, as in the mesa layer (von Oswald et al. 2023,
    arXiv:2309.05858). From the second come regressions on what learned directions M_r
    would have added, which take fewer rows:
    ``z_r = <M_r, B> / (rho + tr(M_r G M_r^T))``. The result is
    ``gain W + sum_r (K z + k)_r M_r``, zero in a new network.

    Parameters
    ----------
    n_rows : int
        Rows that it sees; sets the decays at the start.
    n_directions, n_targets, n_inputs : int
    """

    def __init__(self, n_rows: int, n_directions: int, n_targets: int, n_inputs: int):
        super().__init__()
        start = 0.3 / math.sqrt(n_inputs)
        self.directions = nn.Parameter(
            start * torch.randn(n_directions, n_targets, n_inputs)
        )
        # Learned relative to the start, towards which weight decay draws them: time
        # scales of a quarter and an eighth of the rows.
        time_scales = torch.tensor([n_rows / 4, n_rows / 8])
        self.register_buffer("first_decay_logit", time_scales.log())
        self.register_buffer("first_log_penalty", torch.tensor([2.0, 0.0]))
        self.decay_logit = nn.Parameter(torch.zeros(2))
        self.log_penalty = nn.Parameter(torch.zeros(2))
        self.gain = nn.Parameter(torch.zeros(()))
        self.mix = nn.Linear(n_directions, n_directions)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, errors: Tensor, lagged: Tensor, seen: Tensor) -> Tensor:
        """Matrices (B, n_targets, n_inputs).

        From errors (B, N, n_targets) and rows (B, N, n_inputs) where ``seen`` (B, N).
        """
        # No single outlier may own the matrices.
        errors, lagged = errors.clamp(-_LARGE, _LARGE), lagged.clamp(-_LARGE, _LARGE)
        weight = self._discount(errors.shape[1]).unsqueeze(1) * seen
        cross = torch.einsum("sbn,bno,bni->sboi", weight, errors, lagged)
        gram = torch.einsum("sbn,bni,bnj->sbij", weight, lagged, lagged)
        penalty = (self.first_log_penalty + self.log_penalty).exp()
        ridge = gram[0] + penalty[0] * torch.eye(gram.shape[-1]).to(gram)
        regression = torch.linalg.solve(ridge, cross[0].mT).mT
        hits = torch.einsum("roi,boi->br", self.directions, cross[1])
        sizes = torch.einsum(
            "roi,bij,roj->br", self.directions, gram[1], self.directions
        )
        along = self.mix(hits / (penalty[1] + sizes))
        return self.gain * regression + torch.einsum(
            "br,roi->boi", along, self.directions
        )

    def _discount(self, n_rows: int) -> Tensor:
        """Weights (2, N) of rows by their age."""
        age = torch.arange(n_rows - 1, -1, -1, device=self.decay_logit.device)
        log_decay = F.logsigmoid(self.first_decay_logit + self.decay_logit)
        # Smaller weights change nothing, but their subnormal numbers are slow.
        return (log_decay.unsqueeze(1) * age).clamp_min(-60).exp()
