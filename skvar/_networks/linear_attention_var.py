"""Linear attention on the observed series themselves: an exact dynamic VAR(p).

Lu & Yang (2025), arXiv:2502.07244, section 3: with the observation as key, each past
value and the present query form a rank-one matrix of a vector autoregression.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._attention import linear_attention
from .layers import ResidualMLP, split_heads


class LinearAttentionVAR(nn.Module):
    """One step ahead by a VAR whose matrices depend on the window.

    ``x_{t+1} = c + sum_j (A_j + sum_h v^h_{t-j} q^h_t^T) x_{t-j}`` with a static part
    ``A, c`` (a given classical VAR plus a learned correction) and a dynamic part by
    linear attention. More layers stack with the output of one as the keys of the
    next, as in SAMoVAR. A new network is its static part alone.

    Parameters
    ----------
    lags : int
        Time steps in a window, the order p.
    n_series : int
        Series in a window.
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
        n_targets: int | None = None,
        n_layers: int = 1,
        n_heads: int = 4,
        d_model: int = 32,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.lags, self.n_series = lags, n_series
        self.n_targets = n_targets or n_series
        shape = (lags, self.n_targets, n_series)
        self.register_buffer("matrices", torch.zeros(shape))
        self.register_buffer("intercept", torch.zeros(self.n_targets))
        if n_layers:
            self.matrices_correction = nn.Parameter(torch.zeros(shape))
            self.intercept_correction = nn.Parameter(torch.zeros(self.n_targets))
            self.embed = nn.Linear(n_series, d_model)
            self.position = nn.Parameter(0.02 * torch.randn(lags, d_model))
            self.mlp = ResidualMLP(d_model, 4 * d_model, dropout)
        self.layers = nn.ModuleList(
            DynamicLayer(d_model, n_heads, n_series) for _ in range(n_layers)
        )

    def forward(self, window: Tensor) -> Tensor:
        """Forecast (B, 1, n_targets) from a window (B, lags, n_series)."""
        return self.apply_var(window, self.weights(window)).unsqueeze(1)

    def losses(self, window: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Mean squared error one step ahead."""
        return {"loss_forecast": F.mse_loss(self(window), target)}

    def static_var(self) -> tuple[Tensor, Tensor]:
        """Matrices (p, n_targets, n_series), lag 1 first, and intercept."""
        if not self.layers:
            return self.matrices, self.intercept
        return (
            self.matrices + self.matrices_correction,
            self.intercept + self.intercept_correction,
        )

    def weights(self, window: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Queries and values (B, lags, n_heads, n_series) of every layer."""
        if not self.layers:
            return []
        tokens = self.mlp(self.embed(window) + self.position)
        return [layer(tokens) for layer in self.layers]

    def apply_var(self, keys: Tensor, weights: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The VAR with given weights: affine in the keys (B, lags, n_series)."""
        matrices, intercept = self.static_var()
        forecast = intercept + torch.einsum("lij,blj->bi", matrices.flip(0), keys)
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
