"""Targets other than the observed series: a ridge on the window plus a network."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Readout(nn.Module):
    """``y_t = c + sum_j A_j x_{t-j} + R network(window)`` with a given ``A, c``.

    Parameters
    ----------
    network : Module or None
        Forecasts the ``n_series`` series of the window; None leaves the regression.
    lags, n_series, n_targets : int
        Sizes of the window and of the target.
    start_at_zero : bool
        Whether R starts at zero, for a network whose own forecast does not.
    """

    horizon = 1

    def __init__(
        self,
        network: nn.Module | None,
        *,
        lags: int,
        n_series: int,
        n_targets: int,
        start_at_zero: bool,
    ):
        super().__init__()
        self.network, self.lags = network, lags
        self.register_buffer("matrices", torch.zeros(lags, n_targets, n_series))
        self.register_buffer("intercept", torch.zeros(n_targets))
        if network is not None:
            self.readout = nn.Linear(n_series, n_targets, bias=False)
            if start_at_zero:
                nn.init.zeros_(self.readout.weight)

    def forward(self, window: Tensor) -> Tensor:
        """Targets (B, 1, n_targets) of a window (B, lags, n_series)."""
        target = self.static(window)
        if self.network is not None:
            target = target + self.readout(self.network(window)[:, 0])
        return target.unsqueeze(1)

    def losses(self, window: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Mean squared error of the targets."""
        return {"loss_forecast": F.mse_loss(self(window), target)}

    def static(self, window: Tensor) -> Tensor:
        """The given regression alone (B, n_targets)."""
        newest_first = window.flip(1)
        return self.intercept + torch.einsum("lij,blj->bi", self.matrices, newest_first)

    def weights(self, window: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Queries and values of a `LinearAttentionVAR` inside."""
        return [] if self.network is None else self.network.weights(window)

    def apply_var(self, keys: Tensor, weights: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The regression with given weights: affine in the keys."""
        target = self.static(keys)
        if self.network is None:
            return target
        return target + self.readout(self.network.apply_var(keys, weights))
