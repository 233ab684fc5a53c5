"""Rows to a trained network, and on to forecasts and matrices in original units."""

import math
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_scalar
from torch import Tensor, nn

from ._data.tables import standardise
from ._data.windows import Windows, split_by_time, windows_ending_at
from ._estimator import NetworkEstimator
from ._training.inference import forecast, like
from ._training.loop import TrainingRecord, train
from ._var import extraction as coefficients

# Windows, and numbers of a history, that go through a network at once.
BATCH, _BLOCK = 256, 2**13


class WindowModel(NetworkEstimator):
    """A network over windows of standardised series.

    A recipe fills in `_build`, `_estimate` and `_var`, a protocol the hooks after
    them; an estimator, which is both, holds the hyper-parameters. How rows become
    forecasts (`_forecasts`, `_state_after`, `_push`) is the window's affair here, and
    overridden where the network carries a state. Fitted are
    ``network_``, the ``scaler_`` of the series and the record of training.
    """

    # At most so many windows, evenly spaced, enter ``coef_``; None takes all.
    _max_windows_in_average: int | None = None

    def _build(self, n_series: int, n_targets: int | None) -> nn.Module:
        """The untrained network; without targets it forecasts the series."""
        raise NotImplementedError

    def _estimate(
        self, network: nn.Module, rows: "Rows", device: torch.device, fresh: bool
    ) -> TrainingRecord:
        """Estimate ``network``, fresh or trained before, in place."""
        raise NotImplementedError

    def _var(self, past: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Matrices (B, lags, o, i), lag 1 first, and intercepts (B, o) of windows."""
        raise NotImplementedError

    def _rows(self, lags: int) -> "Rows":
        """The standardised rows seen so far, enough for a window of ``lags``."""
        raise NotImplementedError

    def _windows(self, table, name: str) -> Windows:
        """Windows without a future over a table in original units, after a fit."""
        raise NotImplementedError

    def _after(self, window: np.ndarray) -> np.ndarray:
        """What ``predict`` returns after a standardised window (lags, C)."""
        raise NotImplementedError

    @property
    def _window_rows(self) -> int:
        """Rows of history that the network sees."""
        return self.lags

    @property
    def _shown(self) -> slice:
        """The series that are forecast for the user."""
        return slice(None)

    # estimation

    def _learn(self, rows: "Rows", weights: dict | None) -> None:
        """Estimate a network on standardised rows, from given weights or from none."""
        with self._estimation() as device:
            network = self._network_with(rows, weights)
            record = self._estimate(network, rows, device, weights is None)
        self._keep(network, record)
        self._computed = {}

    def _network_with(self, rows: "Rows", weights: dict | None) -> nn.Module:
        """A network for the columns of some rows, with given weights or new ones."""
        # Closed forms alone are exact and fast in float64 on the CPU.
        network = self._build(*rows.sizes())
        network = network.float() if self.n_layers else network.double()
        if weights is not None:
            _load(network, weights)
        return network

    def _split(self, rows: "Rows", horizon: int) -> tuple["Rows", "Rows | None"]:
        """Training and validation rows, as early_stopping and depth ask for.

        Segments that are too short to hold any rows out serve training alone.
        """
        if not (self.early_stopping and self.n_layers):
            return rows, None
        return rows.split(self._window_rows, horizon, self.validation_fraction)

    def _train(
        self,
        network: nn.Module,
        training: "Rows",
        validation: "Rows | None",
        device: torch.device,
        *,
        required_gain: float = 0.0,
        max_epochs: int | None = None,
    ) -> TrainingRecord:
        """Train on windows of the rows that `_split` returned."""
        training, validation = (
            None if rows is None else rows.windows(network.lags, network.horizon)
            for rows in (training, validation)
        )
        max_epochs = max_epochs or self._epochs(len(training))
        options = self._options(device, max_epochs, required_gain)
        return train(network, training, validation, options)

    def _epochs(self, n_windows: int) -> int:
        """Passes over so many training windows, at most."""
        return self.max_epochs

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_counts("lags")
        self._check_counts("n_layers", least=0)
        if not isinstance(self.alpha, str):
            self._check_below("alpha", math.inf)
        elif self.alpha != "auto":
            raise ValueError(f"alpha must be a number or 'auto', not {self.alpha!r}.")

    # forecasts and matrices

    @property
    def _target_scaler(self) -> StandardScaler:
        """The scaler of what the network returns."""
        return self.scaler_

    def _standardised(self, values: np.ndarray) -> np.ndarray:
        """Rows of series in units of the scaler, as a new array."""
        return standardise(values, self.scaler_)

    def _forecast(self, past: Tensor, steps: int) -> np.ndarray:
        """Forecasts (B, steps, C) in original units after standardised windows."""
        return self._in_units(forecast(self.network_, past, steps))

    def _in_units(self, forecasts: Tensor) -> np.ndarray:
        values = forecasts.cpu().double().numpy()
        return values * self._target_scaler.scale_ + self._target_scaler.mean_

    def _forecasts(
        self, values: np.ndarray, ends: np.ndarray, steps: int
    ) -> Iterator[np.ndarray]:
        """Forecasts (n, steps, C) in original units after rows of standardised values.

        Batch by batch, in the order of ``ends``, which rise. Before its first row the
        history is taken as constant, and at -1, where it has no past, as the mean of
        the series.
        """
        for some in np.array_split(ends, math.ceil(len(ends) / BATCH)):
            past = windows_ending_at(values, some, self.network_.lags)
            past[some < 0] = 0.0
            yield self._forecast(torch.from_numpy(past), steps)

    def _state_after(self, values: np.ndarray):
        """The state of `_push` after standardised rows."""
        last = np.array([len(values) - 1])
        return windows_ending_at(values, last, self.network_.lags)[0]

    def _push(self, state, row: np.ndarray):
        """What a stream keeps after a new row in original units, and its forecast.

        Here the state is the standardised window. Before its first row the history is
        taken as constant.
        """
        rows = self._followed_by(state, row)
        if state is None:
            rows = np.repeat(rows, self.network_.lags, axis=0)
        # A new array: copies of a stream go their own ways.
        window = rows[-self.network_.lags :].copy()
        return window, self._after(window)

    def _followed_by(self, before: np.ndarray | None, row: np.ndarray) -> np.ndarray:
        """Standardised rows, if any, and a new one in original units, then filled."""
        row = self._standardised(row[np.newaxis])
        return self._filled(row if before is None else np.concatenate([before, row]))

    def _filled(self, values: np.ndarray) -> np.ndarray:
        """Standardised rows with what the network is to see where values are missing.

        Here none are.
        """
        return values

    def _var_of(
        self, windows: Windows, used: Tensor, step: int = 1
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Matrices and intercepts of the windows at ``used``, in original units.

        Batch by batch: those of all windows may be many.
        """
        to = like(self.network_)
        self.network_.eval()
        for some in used.split(BATCH):
            parts = self._var(windows[some][0].to(to), step)
            matrices, intercepts = (part.cpu().double().numpy() for part in parts)
            yield coefficients.to_original_units(
                matrices, intercepts, self.scaler_, self._target_scaler
            )

    @property
    def coef_(self) -> np.ndarray:
        """VAR matrices (lags, n_targets, n_series) in original units, lag 1 first.

        Rows respond and columns cause, as in statsmodels' ``coefs``; lag 1 is the
        newest row of a window. The average over the windows of the rows seen so far.
        """
        return self._average_var()[0]

    @property
    def intercept_(self) -> np.ndarray:
        """VAR intercept (n_targets,) in original units, averaged like ``coef_``."""
        return self._average_var()[1]

    def var_matrices(self, Y, *, step: int = 1, return_intercept: bool = False):
        """VAR matrices of every window of a table, each taken for a whole history.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows of the series, in original units.
        step : int, default=1
            Steps ahead of the forecast that the matrices make of the window.
        return_intercept : bool, default=False
            Whether to return the intercepts as well.

        Returns
        -------
        matrices : ndarray of shape (n_rows - lags + 1, lags, n_targets, n_series)
            In original units; ``matrices[i, l - 1]`` is the matrix at lag l, rows
            respond, columns cause, for the window of rows i to i + lags - 1.
        intercepts : ndarray of shape (n_rows - lags + 1, n_targets)
            If asked for. The forecast is the intercept plus the matrices applied to
            the window.

        Raises
        ------
        ValueError
            If ``Y`` is too short or not a table that the estimator accepts, or
            ``step`` is less than one, or more than one after a fit with ``y``.
        """
        windows = self._windows(Y, "Y")
        check_scalar(step, "step", numbers.Integral, min_val=1)
        if step > 1 and self._target_scaler is not self.scaler_:
            raise ValueError(
                f"step={step} needs forecasts of X to feed back, but this regressor "
                "was fitted with y; leave step at 1 or fit it with y=None."
            )
        # Filled batch by batch: all matrices may be a large part of the memory.
        matrices, intercepts, done = None, None, 0
        for some, offsets in self._var_of(windows, torch.arange(len(windows)), step):
            if matrices is None:
                matrices = np.empty((len(windows), *some.shape[1:]))
                intercepts = np.empty((len(windows), *offsets.shape[1:]))
            matrices[done : done + len(some)] = some
            intercepts[done : done + len(some)] = offsets
            done += len(some)
        return (matrices, intercepts) if return_intercept else matrices

    def _average_var(self) -> tuple[np.ndarray, np.ndarray]:
        """Averages over the windows of the history, cached."""
        self._check_fitted()
        if "average_var" not in self._computed:
            lags = self.network_.lags
            rows = self._rows(lags)
            windows = Windows(rows.segments, lags, 1, n_inputs=rows.n_inputs)
            self._computed["average_var"] = self._average_over(windows)
        return self._computed["average_var"]

    def _average_over(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Averages over evenly spaced windows, read-only."""
        used = self._in_average(len(windows))
        sums = [
            [part.sum(axis=0) for part in parts]
            for parts in self._var_of(windows, used)
        ]
        averages = tuple(sum(parts) / len(used) for parts in zip(*sums, strict=True))
        for average in averages:
            average.flags.writeable = False
        return averages

    def _in_average(self, n_windows: int) -> Tensor:
        n_used = min(n_windows, self._max_windows_in_average or n_windows)
        return torch.from_numpy(
            np.linspace(0, n_windows - 1, n_used).round().astype(int)
        )


class RecurrentModel(WindowModel):
    """A forecaster's model whose network carries a state: it sees a whole history."""

    def _forecasts(self, values, ends, steps):
        if ends[0] < 0:
            ahead, state = self._extend(np.zeros((1, values.shape[1])), None, 1)
            yield self._in_units(self._fed_back(ahead, state, steps))
            ends = ends[1:]
        state = None
        for start, rows in self._blocks(values, ends, alone=steps > self.horizon_):
            wanted = ends[(ends >= start) & (ends < start + len(rows))] - start
            n_last = len(rows) - wanted[0] if len(wanted) else 0
            ahead, state = self._extend(rows, state, n_last)
            if len(wanted):
                ahead = ahead[torch.from_numpy(wanted - wanted[0])]
                yield self._in_units(self._fed_back(ahead, state, steps))

    def _state_after(self, values):
        state = None
        for _, rows in self._blocks(values, np.array([len(values) - 1])):
            _, state = self._extend(rows, state, 0)
        return values[-self.lags :].copy(), state

    def _push(self, state, row):
        # The last rows are what missing values are filled from.
        recent, state = state or (None, None)
        recent = self._followed_by(recent, row)[-self.lags :]
        ahead, state = self._extend(recent[-1:], state, 1)
        return (recent, state), self._in_units(ahead)[0][:, self._shown]

    def _blocks(
        self, values: np.ndarray, ends: np.ndarray, alone: bool = False
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Rows up to the last of ``ends`` that go through the network at once.

        And where they start. With ``alone`` they end at each of the ``ends``.
        """
        n_rows = max(1, _BLOCK // self.n_features_in_)
        stops = ends + 1 if alone else ends[-1:] + 1
        for begin, stop in pairwise([0, *stops]):
            for start in range(begin, stop, n_rows):
                yield start, values[start : min(start + n_rows, stop)]

    def _extend(self, rows: np.ndarray, state, n_last: int) -> tuple[Tensor, object]:
        """Forecasts (n_last, horizon, C) after the last of some rows, and the state."""
        rows = torch.from_numpy(np.require(rows, requirements=["C", "W"]))
        with torch.inference_mode():
            ahead, state = self.network_.extend(
                rows.to(like(self.network_)).unsqueeze(0), state, n_last=n_last
            )
        return ahead[0], state

    def _fed_back(self, ahead: Tensor, state, steps: int) -> Tensor:
        """Forecasts (n, steps, C), beyond the horizon after a single row alone."""
        horizon = ahead.shape[1]
        with torch.inference_mode():
            while ahead.shape[1] < steps:
                rows = ahead[:, -horizon:]
                more, state = self.network_.extend(rows, state, n_last=1)
                ahead = torch.cat([ahead, more[0]], dim=1)
        return ahead[:, :steps]


@dataclass(frozen=True)
class Rows:
    """Standardised segments: tables without gaps, of series and perhaps of targets.

    With targets, the first ``n_inputs`` columns are series and the others targets, one
    row below the last row of the window that they belong to. Where values were missing
    and are filled, ``observed`` has a table of the same shape for each segment.
    """

    segments: Sequence[np.ndarray]
    n_inputs: int | None = None
    observed: Sequence[np.ndarray] | None = None

    def sizes(self) -> tuple[int, int | None]:
        """Numbers of series and of targets."""
        n_columns = self.segments[0].shape[1]
        if self.n_inputs is None:
            return n_columns, None
        return self.n_inputs, n_columns - self.n_inputs

    def windows(self, lags: int, horizon: int) -> Windows:
        """Windows in float32, for training."""
        return Windows(
            self.segments,
            lags,
            horizon,
            n_inputs=self.n_inputs,
            dtype=torch.float32,
            observed=self.observed,
        )

    def split(
        self, lags: int, horizon: int, validation_fraction: float
    ) -> tuple["Rows", "Rows | None"]:
        """What `split_by_time` makes of the segments that are long enough.

        The others serve training alone, and so do all where nothing was observed in
        what would be held out.
        """
        sizes = lags, horizon, validation_fraction
        parts = [split_by_time(values, *sizes) for values in self.segments]
        training, held_out = _sorted_out(self.segments, parts)
        if not held_out:
            return self, None
        masks = None, None
        if self.observed is not None:
            parts = [split_by_time(mask, *sizes) for mask in self.observed]
            masks = _sorted_out(self.observed, parts)
            if not any(mask[lags:].any() for mask in masks[1]):
                return self, None
        return (
            Rows(training, self.n_inputs, masks[0]),
            Rows(held_out, self.n_inputs, masks[1]),
        )


def _sorted_out(wholes: Sequence, parts: Sequence[tuple | None]) -> tuple[list, list]:
    """First parts, or the whole where there are no parts, and second ones."""
    first = [
        whole if part is None else part[0]
        for whole, part in zip(wholes, parts, strict=True)
    ]
    return first, [part[1] for part in parts if part is not None]


def _load(network: nn.Module, weights: dict) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            "Training goes on from the network of the last fit (warm_start=True, or "
            "update) or of pretrain, but its sizes do not fit the present parameters "
            "or data; put lags, horizon, static_path, what else sets a size of the "
            "network (such as n_layers or d_model) and the series back, or fit a new "
            "forecaster."
        ) from error
