"""Quantiles, variances and paths around forecasts, from errors that were made."""

from collections import deque
from collections.abc import Hashable, Iterator

import numpy as np
from sklearn.utils import check_random_state

from .._closed_form.conformal import (
    CalibrationErrors,
    around_forecast,
    completed,
    track,
)
from .._closed_form.simulation import error_paths
from .calibration import never_checked, rows_after, too_short
from .history import History
from .state import ForecasterState

# Errors that are independent of each other below which those of the model's own shocks
# stand in for them, and from which on none do; paths that these make.
_FEW, _MANY, _N_PATHS = 10, 30, 500


class Intervals:
    """What errors say of forecasts at given rows.

    The errors of the calibration model, and those of this one on rows that came since,
    which quantiles follow.

    Parameters
    ----------
    state : ForecasterState
    farthest : int
        Steps from the present time to the last one that is asked for.
    """

    def __init__(self, state: ForecasterState, farthest: int):
        self.state = state
        self.n_steps = _n_steps(state, farthest)
        self.calibration = errors_of(state, self.n_steps)

    def quantiles(
        self, key: Hashable, rows: np.ndarray, levels: np.ndarray
    ) -> np.ndarray:
        """Offsets (n_levels, len(rows), n_targets) of quantiles, in original units."""
        steps = self._steps(key, rows)
        levels, order = np.unique(np.asarray(levels, float), return_inverse=True)
        online = self._online(key, steps)
        [offsets] = deque(followed(self.calibration, online, levels), maxlen=1)
        offsets = around_forecast(offsets, levels)[order][:, steps - 1]
        return offsets * self.state.members[key].scale

    def variances(self, key: Hashable, rows: np.ndarray) -> np.ndarray:
        """Mean squared errors (len(rows), n_targets), in original units."""
        squares = np.nanmean(np.square(self._errors(key, rows)), axis=0)
        return squares * self.state.members[key].scale ** 2

    def paths(
        self, key: Hashable, rows: np.ndarray, n_paths: int, random_state
    ) -> np.ndarray:
        """Errors (n_paths, len(rows), n_targets) drawn whole, in original units."""
        rng = check_random_state(random_state)
        errors = completed(self._errors(key, rows), rng)
        if not np.isfinite(errors).any(axis=0).all():
            raise ValueError(too_short(self._steps(key, rows).max()))
        drawn = rng.randint(len(errors), size=n_paths)
        return errors[drawn] * self.state.members[key].scale

    def _steps(self, key: Hashable, rows: np.ndarray) -> np.ndarray:
        """Steps after the last known row; forecasts in-sample are one step ahead."""
        return (rows - self.state.members[key].n_known + 1).clip(1, self.n_steps)

    def _online(self, key: Hashable, steps: np.ndarray) -> np.ndarray:
        n_steps = max(steps.max(), self.state.model.horizon)
        return self.state.online_errors(key, n_steps)

    def _errors(self, key: Hashable, rows: np.ndarray) -> np.ndarray:
        """Errors (n_origins, len(rows), n_targets) that calibrate, and later ones."""
        steps = self._steps(key, rows)
        parts = self.calibration.errors, self._online(key, steps)
        return np.concatenate([part[:, steps - 1] for part in parts])


def errors_of(state: ForecasterState, n_steps: int) -> CalibrationErrors:
    """Standardised errors of forecasts of at least so many steps.

    Those that calibration makes. Where they are few, and the forecasts are those of a
    VAR in closed form alone, errors that follow from its one-step errors join them or
    stand in for them.
    """
    var = state.model.var_alone
    n_independent = state.calibration.n_independent(n_steps)
    if var is None or n_independent >= _MANY:
        return state.calibration.errors(n_steps)
    known = state.densities.get(n_steps)
    if known is None:
        shocks = np.concatenate([member.shocks for member in state.learned_from()])
        if not len(shocks):
            raise ValueError(too_short(n_steps))
        unknown = ~np.isfinite(shocks).any(axis=0)
        if unknown.any():
            raise ValueError(never_checked(state.history.schema.names[unknown]))
        shocks = completed(shocks[:, np.newaxis], np.random.RandomState(0))[:, 0]
        matrices = var.matrices.cpu().double().numpy()
        paths = error_paths(matrices, shocks, n_steps, _N_PATHS)
        errors = paths[..., state.history.schema.shown]
        if n_independent >= _FEW:
            # As many times as make their share that of what they tell.
            made = state.calibration.errors(n_steps).errors[:, :n_steps]
            share = n_independent / _MANY
            times = round(share / (1 - share) * len(errors) / len(made))
            errors = np.concatenate([errors, *[made] * max(times, 1)])
        known = state.densities[n_steps] = CalibrationErrors(errors)
    return known


def _n_steps(state: ForecasterState, farthest: int) -> int:
    """Farthest step that errors are needed for.

    That is the farthest one after the end of any instance. But it takes twice as many
    rows from all instances: for the sake of those that ended early, at most half of
    what the longest has beside one window.
    """
    calibration, specification = state.calibration, state.model.specification
    n_steps = max(farthest, specification.horizon)
    spare = max(calibration.n_train.values()) - specification.window_rows
    spare -= specification.horizon
    n_behind = _n_behind(state.history, state.cutoff)
    if calibration.history is not state.history:
        # The panel of an instance, at its own end.
        last = max(series.index[-1] for series in calibration.history.series.values())
        n_behind = max(n_behind, _n_behind(calibration.history, last))
    return max(n_steps, min(n_steps + n_behind, spare // 4))


def _n_behind(history: History, cutoff) -> int:
    """Steps from the end of the table that ends first to the cutoff."""
    n_known = history.n_rows(cutoff)
    return max(
        series.position(cutoff) + 1 - n_known[key]
        for key, series in history.series.items()
    )


def followed(
    calibration: CalibrationErrors, errors: np.ndarray, levels: np.ndarray
) -> Iterator[np.ndarray]:
    """Quantiles of the steps of some errors, before the first and after each."""
    n_steps = errors.shape[1]
    start, scale = calibration.quantiles(levels)[:, :n_steps], calibration.scale
    return track(start, errors, levels, scale[:n_steps])


def rolling_intervals(
    state: ForecasterState,
    forecasts: np.ndarray,
    rows: np.ndarray,
    coverage: float,
) -> np.ndarray:
    """Intervals (n, horizon, n_targets, 2) around forecasts after windows of a table.

    Which adapt to errors on the way. ``rows`` are those of the table in original units,
    of the targets.
    """
    member, horizon = state.single, state.model.horizon
    levels = np.array([0.5 - coverage / 2, 0.5 + coverage / 2])
    origins = np.arange(state.model.window_rows - 1, len(rows))
    errors = (rows_after(rows, origins, horizon) - forecasts) / member.scale
    calibration = state.calibration.errors(horizon)
    # Errors of h steps are known h rows after their origin.
    known = np.stack([*followed(calibration, errors, levels)])
    ends = np.empty((*forecasts.shape, 2))
    for step in range(horizon):
        last = np.maximum(np.arange(len(forecasts)) - step, 0)
        offsets = around_forecast(np.moveaxis(known[last, :, step], 1, 0), levels)
        ends[:, step] = np.moveaxis(offsets, 0, -1)
    return forecasts[..., np.newaxis] + ends * member.scale[:, np.newaxis]
