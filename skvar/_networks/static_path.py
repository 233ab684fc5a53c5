"""A closed form beside a network, on one footing for every network.

``forecast = weight * static + (1 - weight) * network``: a convex mix of two maps that
are linear given the window is one as well.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Tensor, nn

from .layers import roll_out, window_means
from .linear_attention_var import LinearAttentionVAR

_ONE_SIDED = scipy.stats.norm.sf(1)

# Of two forecasts, equal parts are a mean that is hard to beat (Timmermann 2006,
# "Forecast combinations"); two standard errors from there are the static path alone and
# the network alone.
_PRIOR_PART, _PRIOR_ERROR = 0.5, 0.25


class StaticPath(nn.Module):
    """Mix of a regression in closed form and a network.

    The regression maps each series' window to its forecast, in one step and with a
    matrix of its own or one for all series, or is a VAR that feeds its forecasts back.
    A new one repeats the last value.

    Parameters
    ----------
    network : Module or None
        Called on a window; None leaves the static path alone.
    lags, horizon, n_series : int
        Of the network.
    order : int
        Of the VAR.
    """

    def __init__(
        self,
        network: nn.Module | None,
        *,
        lags: int,
        horizon: int,
        n_series: int,
        order: int = 1,
    ):
        super().__init__()
        self.network, self.lags, self.horizon = network, lags, horizon
        self.var = LinearAttentionVAR(lags=order, n_series=n_series, n_layers=0)
        matrices = torch.zeros(1, horizon, lags)
        matrices[..., -1] = 1.0
        self.matrices: Tensor
        self.register_buffer("matrices", matrices)
        self.register_buffer("is_var", torch.tensor(False))
        static_weight = torch.tensor(1.0 if network is None else 0.5)
        self.register_buffer("static_weight", static_weight)

    def forward(self, window: Tensor) -> Tensor:
        """Forecast (B, horizon, C) from a window (B, lags, C)."""
        if self.static_only:
            return self.static(window)
        return torch.lerp(self.network(window), self.static(window), self.static_weight)

    def extend(
        self, rows: Tensor, state: tuple | None = None, *, n_last: int | None = None
    ) -> tuple[Tensor, tuple]:
        """Forecasts (B, n_last, horizon, C) after rows (B, n, C), and the state.

        As `extend` of the network, which it must have if there is one. The static path
        sees the last ``lags`` rows; what a history lacks of them is its first row.
        """
        n = rows.shape[1]
        n_last = n if n_last is None else n_last
        recent, carried = state or (rows[:, :1].expand(-1, self.lags, -1), None)
        longer = torch.cat([recent, rows], dim=1)
        windows = longer.unfold(1, self.lags, 1)[:, 1 + n - n_last :].mT
        forecasts = self.static(windows.flatten(0, 1)).unflatten(0, (len(rows), n_last))
        if not self.static_only:
            dynamic, carried = self.network.extend(rows, carried, n_last=n_last)
            forecasts = torch.lerp(dynamic, forecasts, self.static_weight)
        return forecasts, (longer[:, n:].clone(), carried)

    @property
    def static_only(self) -> bool:
        """Whether the network has no part in the forecast."""
        return self.network is None or bool(self.static_weight == 1)

    @property
    def n_parameters(self) -> int:
        """Estimated numbers that the forecast depends on, without the static weight."""
        static = self.var.n_parameters if self.is_var else self.matrices.numel()
        if self.static_only:
            return static
        return static + sum(p.numel() for p in self.network.parameters())

    def static(self, window: Tensor) -> Tensor:
        """The static path alone."""
        if self.is_var:
            return roll_out(self.var, window[:, -self.var.lags :], self.horizon)
        if len(self.matrices) == 1:
            return self.matrices[0] @ window
        return torch.einsum("chl,blc->bhc", self.matrices, window)

    def _load_from_state_dict(self, state: dict, prefix: str, *args: Any) -> None:
        # One matrix for all series, or as many as there are.
        found = state.get(f"{prefix}matrices", self.matrices)
        as_long = found.shape[1:] == self.matrices.shape[1:]
        if as_long and len(found) in (1, self.var.n_series):
            self.matrices = torch.empty_like(found, device=self.matrices.device)
        super()._load_from_state_dict(state, prefix, *args)

    @torch.no_grad()
    def fit_static_weight(
        self, batches: Iterable[tuple[Tensor, ...]], stride: int = 1
    ) -> None:
        """Set the static weight from batches of windows and targets in order of time.

        The network's part in the least squared error, drawn to one half by how unsure
        it is: the mean a posteriori, with the bound of one standard error in Student's
        distribution for a standard error. Windows of fewer than two horizons leave the
        static path alone. ``stride`` is the number of rows from one window to the next.
        """
        products = []
        for window, target, *_ in batches:
            dynamic, static = self.network(window), self.static(window)
            excess = dynamic - static
            both = torch.stack([excess * (target - static), excess.square()])
            products.append(window_means(both, target))
        cross, square = torch.cat(products, dim=1).cpu().double().numpy()
        self.static_weight.fill_(
            1 - _sure_part(cross, square, math.ceil(self.horizon / stride))
        )


def _sure_part(cross: np.ndarray, square: np.ndarray, stretch: int) -> float:
    """Mean a posteriori of a regression through zero, from products of windows.

    Its standard error comes from means over stretches of one horizon.
    """
    n_stretches = len(cross) // stretch
    if n_stretches < 2 or not square.mean() > 0:
        return 0.0
    part = cross.mean() / square.mean()
    scores = cross - part * square
    means = np.array([some.mean() for some in np.array_split(scores, n_stretches)])
    # Forecasts of neighbouring stretches overlap: errors of h steps, as moving sums of
    # h shocks, give a mean of h of them 2/3 of the variance that it would need.
    error = means.std(ddof=1) * np.sqrt(1.5 / n_stretches) / square.mean()
    bound = scipy.stats.t.isf(_ONE_SIDED, n_stretches - 1) * error
    known = _PRIOR_ERROR**2 / (_PRIOR_ERROR**2 + bound**2)
    return float(np.clip(known * part + (1 - known) * _PRIOR_PART, 0, 1))
