"""Targets other than the observed series."""

from torch import Tensor, nn

from .layers import mean_squared_error
from .linear_attention_var import LinearAttentionVAR


class Readout(nn.Module):
    """``y_t = c + sum_j A_j x_{t-j} + R network(window)`` with a given ``A, c``.

    Parameters
    ----------
    network : Module
        Forecasts the ``n_series`` series of the window.
    lags : int
        Of the regression, the last ones of the network's window.
    n_series, n_targets : int
        Sizes of the window and of the target.
    start_at_zero : bool
        Whether R starts at zero, for a network whose own forecast does not.
    """

    horizon = 1

    def __init__(
        self,
        network: nn.Module,
        *,
        lags: int,
        n_series: int,
        n_targets: int,
        start_at_zero: bool,
    ):
        super().__init__()
        self.lags = network.lags
        self.static = LinearAttentionVAR(
            lags=lags, n_series=n_series, n_targets=n_targets, n_layers=0
        )
        self.network = network
        self.readout = nn.Linear(n_series, n_targets, bias=False)
        if start_at_zero:
            nn.init.zeros_(self.readout.weight)

    def forward(self, window: Tensor) -> Tensor:
        """Targets (B, 1, n_targets) of a window (B, lags, n_series)."""
        return self.static(window) + self.readout(self.network(window)[:, :1])

    def losses(
        self, window: Tensor, target: Tensor, observed: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Mean squared error of the targets."""
        return {"loss_forecast": mean_squared_error(self(window), target)}
