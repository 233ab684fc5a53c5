"""From a trained network and windows to forecasts, in batches."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from .._data.windows import Windows, windows_ending_at
from .._networks.layers import bounded, roll_out, window_means

# Windows that go through a network at once, and those of single series; numbers of a
# history that do.
_BATCH, _OF_SERIES, _BLOCK = 256, 2**15, 2**13


def windows_at_once(n_series: int) -> int:
    """Windows of so many series that go through a network at once."""
    return max(1, min(_BATCH, _OF_SERIES // n_series))


def like(network: nn.Module) -> Tensor:
    """A tensor of the network, for its device and dtype."""
    return next(itertools.chain(network.parameters(), network.buffers()))


@torch.inference_mode()
def forecast(
    network: nn.Module, past: Tensor, steps: int, inflow: Tensor | None = None
) -> Tensor:
    """Forecast ``steps`` rows after each window, on the network's device and dtype.

    Beyond the network's own horizon, forecasts are fed back as observations.

    Parameters
    ----------
    past : Tensor of shape (B, lags, n_series)
    steps : int
    inflow : Tensor of shape (B, steps, n_targets), optional
        What comes to each forecast, of a network of one step.

    Returns
    -------
    Tensor of shape (B, steps, n_targets)
    """
    network.eval()
    past = bounded(past.to(like(network))).contiguous()
    if inflow is not None:
        inflow = inflow.to(like(network))
    return roll_out(network, past, steps, inflow=inflow)


def squared_errors(
    network: nn.Module, windows: Windows, batch_size: int | None = None
) -> Tensor:
    """Mean squared error of each window (n_windows,), over steps and series.

    Targets that are NaN do not count, nor do windows without any other.
    """
    device = like(network).device
    errors = []
    batch_size = batch_size or windows_at_once(windows.values.shape[1])
    for past, future, *_ in windows.batches(batch_size):
        future = future.to(device)
        error = forecast(network, past, windows.horizon) - future
        errors.append(window_means(error.square(), future))
    # On the CPU: not every device has float64.
    return torch.cat(errors).cpu().double()


@dataclass(frozen=True)
class WindowInference:
    """Forecasts of a network that sees the last rows, in standardised units.

    What it carries from one row to the next is the window.
    """

    network: nn.Module

    def after_windows(
        self, past: np.ndarray, steps: int, inflow: np.ndarray | None = None
    ) -> np.ndarray:
        """Forecasts (B, steps, n_targets) after windows (B, lags, n_series)."""
        inflow = None if inflow is None else torch.from_numpy(inflow)
        return _as_array(forecast(self.network, torch.from_numpy(past), steps, inflow))

    def forecasts(
        self,
        values: np.ndarray,
        ends: np.ndarray,
        steps: int,
        before=None,
        inflow: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """Forecasts (n, steps, C) after rows of a table (n_rows, C), batch by batch.

        In the order of ``ends``, which rise. Before its first row the history is taken
        as constant, and at -1, where it has no past, as the mean of the series. What it
        carries after the rows ``before`` does not matter where there is a window.
        ``inflow`` has what flows into the rows of the table and into those after it;
        forecasts of rows for which it is not known are NaN.
        """
        at_once = windows_at_once(values.shape[1])
        for some in np.array_split(ends, math.ceil(len(ends) / at_once)):
            past = windows_ending_at(values, some, self.network.lags)
            past[some < 0] = 0.0
            ahead = None if inflow is None else _rows_after(inflow, some, steps)
            yield self.after_windows(past, steps, ahead)

    def start(self, values: np.ndarray, before=None) -> np.ndarray:
        """What it carries after the rows of a table."""
        last = np.array([len(values) - 1])
        return windows_ending_at(values, last, self.network.lags)[0]

    def recent(self, state: np.ndarray | None) -> np.ndarray | None:
        """The last rows that it saw; missing values are filled from them."""
        return state

    def step(
        self, state: np.ndarray | None, rows: np.ndarray, steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """What it carries after recent rows and a new one, and forecast (steps, C).

        Before its first row the history is taken as constant.
        """
        if state is None:
            rows = np.repeat(rows, self.network.lags, axis=0)
        # A new array: copies of a stream go their own ways.
        window = rows[-self.network.lags :].copy()
        return window, self.after_windows(window[np.newaxis], steps)[0]


@dataclass(frozen=True)
class RecurrentInference:
    """The same of a network that carries a state through a whole history."""

    network: nn.Module

    def after_windows(self, past: np.ndarray, steps: int) -> np.ndarray:
        """Forecasts (B, steps, n_targets) after windows taken for whole histories."""
        return _as_array(forecast(self.network, torch.from_numpy(past), steps))

    def forecasts(
        self,
        values: np.ndarray,
        ends: np.ndarray,
        steps: int,
        before: tuple | None = None,
    ) -> Iterator[np.ndarray]:
        """Forecasts (n, steps, C) after rows of a table (n_rows, C), batch by batch.

        In the order of ``ends``, which rise; -1 stands for a history of one row, the
        mean of the series. ``before`` is what it carries after the rows before these.
        """
        if ends[0] < 0:
            ahead, state = self._extend(np.zeros((1, values.shape[1])), None, 1)
            yield _as_array(self._fed_back(ahead, state, steps))
            ends = ends[1:]
        _, state = before or (None, None)
        alone = steps > self.network.horizon
        for start, rows in _blocks(values, ends, alone):
            wanted = ends[(ends >= start) & (ends < start + len(rows))] - start
            n_last = len(rows) - wanted[0] if len(wanted) else 0
            ahead, state = self._extend(rows, state, n_last)
            if len(wanted):
                ahead = ahead[torch.from_numpy(wanted - wanted[0])]
                yield _as_array(self._fed_back(ahead, state, steps))

    def start(self, values: np.ndarray, before: tuple | None = None) -> tuple:
        """What it carries after the rows of a table, and those before."""
        _, state = before or (None, None)
        for _, rows in _blocks(values, np.array([len(values) - 1])):
            _, state = self._extend(rows, state, 0)
        return values[-self.network.lags :].copy(), state

    def recent(self, state: tuple | None) -> np.ndarray | None:
        """The last rows that it saw; missing values are filled from them."""
        return None if state is None else state[0]

    def step(
        self, state: tuple | None, rows: np.ndarray, steps: int
    ) -> tuple[tuple, np.ndarray]:
        """What it carries after recent rows and a new one, and forecast (steps, C)."""
        _, carried = state or (None, None)
        recent = rows[-self.network.lags :].copy()
        ahead, carried = self._extend(recent[-1:], carried, 1)
        return (recent, carried), _as_array(self._fed_back(ahead, carried, steps))[0]

    def _extend(self, rows: np.ndarray, state, n_last: int) -> tuple[Tensor, object]:
        """Forecasts (n_last, horizon, C) after the last of some rows, and the state."""
        rows = torch.from_numpy(np.require(rows, requirements=["C", "W"]))
        with torch.inference_mode():
            rows = bounded(rows.to(like(self.network))).unsqueeze(0)
            ahead, state = self.network.extend(rows, state, n_last=n_last)
        return ahead[0], state

    def _fed_back(self, ahead: Tensor, state, steps: int) -> Tensor:
        """Forecasts (n, steps, C), beyond the horizon after a single row alone."""
        horizon = ahead.shape[1]
        with torch.inference_mode():
            while ahead.shape[1] < steps:
                rows = ahead[:, -horizon:]
                more, state = self.network.extend(rows, state, n_last=1)
                ahead = torch.cat([ahead, more[0]], dim=1)
        return ahead[:, :steps]


def _blocks(
    values: np.ndarray, ends: np.ndarray, alone: bool = False
) -> Iterator[tuple[int, np.ndarray]]:
    """Rows up to the last of ``ends`` that go through a network at once.

    And where they start. With ``alone`` they end at each of the ``ends``.
    """
    n_rows = max(1, _BLOCK // values.shape[1])
    stops = ends + 1 if alone else ends[-1:] + 1
    for begin, stop in pairwise([0, *stops]):
        for start in range(begin, stop, n_rows):
            yield start, values[start : min(start + n_rows, stop)]


def _rows_after(rows: np.ndarray, ends: np.ndarray, steps: int) -> np.ndarray:
    """Rows (n, steps, C) that follow some of a table; NaN beyond its last one."""
    beyond = np.full((steps, rows.shape[1]), np.nan)
    at = ends[:, np.newaxis] + np.arange(1, steps + 1)
    return np.concatenate([rows, beyond])[np.minimum(at, len(rows) + steps - 1)]


def _as_array(forecasts: Tensor) -> np.ndarray:
    return forecasts.cpu().double().numpy()
