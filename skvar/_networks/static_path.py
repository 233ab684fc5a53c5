"""A closed-form direct regression beside a network, on one footing for every network.

``forecast = share * static + (1 - share) * network`` with a share per step: a convex
mix of two maps that are linear given the window is one as well.
"""

import torch
from torch import Tensor, nn


class StaticPath(nn.Module):
    """Mix of a direct ridge, shared by all series after centring, and a network.

    Parameters
    ----------
    network : Module or None
        Called on a window; None leaves the static path alone.
    lags, horizon : int
        Of the network.
    """

    def __init__(self, network: nn.Module | None, *, lags: int, horizon: int):
        super().__init__()
        self.network, self.lags, self.horizon = network, lags, horizon
        self.register_buffer("weight", torch.zeros(horizon, lags))
        share = torch.full((horizon, 1), 1.0 if network is None else 0.5)
        self.register_buffer("share", share)

    def forward(self, window: Tensor) -> Tensor:
        """Forecast (B, horizon, C) from a window (B, lags, C)."""
        static = self.static(window)
        if self.network is None:
            return static
        return torch.lerp(self.network(window), static, self.share)

    def static(self, window: Tensor) -> Tensor:
        """The direct ridge alone."""
        centre = window.mean(dim=1, keepdim=True)
        return centre + self.weight @ (window - centre)

    @torch.no_grad()
    def fit_share(self, batches) -> None:
        """Set each step's share by least squares on (window, target) pairs.

        Minimises the squared error of the mix over [0, 1]; equal forecasts leave the
        share as it is.
        """
        cross, square = torch.zeros_like(self.share), torch.zeros_like(self.share)
        for window, target in batches:
            dynamic = self.network(window)
            difference = self.static(window) - dynamic
            cross += (difference * (target - dynamic)).sum(dim=(0, 2)).unsqueeze(1)
            square += difference.square().sum(dim=(0, 2)).unsqueeze(1)
        best = (cross / square).clamp(0, 1)
        self.share.copy_(torch.where(square > 0, best, self.share))
