"""Quantiles, variances and paths around forecasts, from errors that were made."""

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import check_random_state

from .._closed_form.conformal import CalibrationErrors, Tracked, completed
from .._closed_form.simulation import error_paths
from .._closed_form.spread import Spread
from .._models.fitted import FittedModel
from .._typing import Seed
from .calibration import KnownErrors, never_checked, rows_after, rows_ahead, too_short
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
        self, key: Hashable, rows: np.ndarray, levels: Sequence[float]
    ) -> np.ndarray:
        """Offsets (n_levels, len(rows), n_targets) of quantiles, in original units."""
        steps = self._steps(key, rows)
        levels, order = np.unique(np.asarray(levels, float), return_inverse=True)
        tracked = self.tracked(key, steps.max(), levels)
        offsets = tracked.around_forecast[order][:, steps - 1]
        return offsets * self._scales(key, rows, steps)

    def tracked(self, key: Hashable, n_steps: int, levels: np.ndarray) -> Tracked:
        """Quantiles, over the spread, that have followed all errors up to now."""
        online = self._online(key, n_steps)
        varies = self.state.members[key].varies
        start = Tracked.start(self.calibration, levels, online.shape[1], varies)
        [tracked] = deque(start.along(online), maxlen=1)
        return tracked

    def variances(self, key: Hashable, rows: np.ndarray) -> np.ndarray:
        """Mean squared errors (len(rows), n_targets), in original units."""
        steps = self._steps(key, rows)
        squares = np.nanmean(np.square(self._errors(key, steps)), axis=0)
        return squares * self._scales(key, rows, steps) ** 2

    def paths(
        self, key: Hashable, rows: np.ndarray, n_paths: int, random_state: Seed
    ) -> np.ndarray:
        """Errors (n_paths, len(rows), n_targets) drawn whole, in original units."""
        rng, steps = check_random_state(random_state), self._steps(key, rows)
        errors = completed(self._errors(key, steps), rng)
        if not np.isfinite(errors).any(axis=0).all():
            raise ValueError(too_short(steps.max()))
        drawn = rng.randint(len(errors), size=n_paths)
        return errors[drawn] * self._scales(key, rows, steps)

    def _steps(self, key: Hashable, rows: np.ndarray) -> np.ndarray:
        """Steps after the last known row; forecasts in-sample are one step ahead."""
        return (rows - self.state.members[key].n_known + 1).clip(1, self.n_steps)

    def _scales(self, key: Hashable, rows: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Spreads (len(rows), n_targets) of errors at rows, in original units."""
        rows = rows + self.first_number(key)
        scales = self.calibration.spread.at(rows, steps - 1)
        return scales * self.state.members[key].scale

    def first_number(self, key: Hashable) -> int:
        """Of the first row of an instance, as spreads count rows."""
        index = self.state.history.series[key].index
        return self.state.calibration.number_of(index[0])

    def _online(self, key: Hashable, n_steps: int) -> np.ndarray:
        """Errors (n_origins, n_steps, n_targets) since the fit, over their spread.

        Of so many steps at least.
        """
        n_steps = max(n_steps, self.state.model.horizon)
        origins, errors = self.state.online_errors(key, n_steps)
        rows = rows_ahead(origins, n_steps) + self.first_number(key)
        return errors / self.calibration.spread.at(rows, slice(n_steps))

    def _errors(self, key: Hashable, steps: np.ndarray) -> np.ndarray:
        """All errors (n_origins, len(steps), n_targets), over their spread."""
        made = self.calibration.standardised * self.state.members[key].varies
        parts = made, self._online(key, steps.max())
        return np.concatenate([part[:, steps - 1] for part in parts])


def errors_of(
    state: ForecasterState, n_steps: int, *, timed: bool = True
) -> CalibrationErrors:
    """Errors of forecasts of at least so many steps, as of `Calibration.errors`.

    Those that calibration makes. Where they are few, and the forecasts are those of a
    VAR in closed form alone, errors that follow from its one-step errors join them or
    stand in for them.
    """
    var = state.model.var_alone
    n_independent = state.calibration.n_independent(n_steps)
    if not shocks_count(state.model, n_independent):
        return state.calibration.errors(n_steps, timed=timed)
    known = state.densities.get((n_steps, timed))
    if known is None:
        matrices = var.matrices.cpu().double().numpy()
        paths = error_paths(matrices, _shocks(state, n_steps), n_steps, _N_PATHS)
        known = CalibrationErrors.of(paths[..., state.history.schema.shown])
        if n_independent >= _FEW:
            made = state.calibration.errors(n_steps, timed=timed)
            known = made.mixed_with(known, 1 - n_independent / _MANY)
        state.densities[n_steps, timed] = known
    return known


def shocks_count(model: FittedModel, n_independent: float) -> bool:
    """Whether errors that follow from one-step errors join those of calibration.

    Or stand in for these, which are so many.
    """
    return model.var_alone is not None and n_independent < _MANY


def _shocks(state: ForecasterState, n_steps: int) -> np.ndarray:
    """Standardised one-step errors on all tables learned from, without gaps."""
    history = state.calibration.history
    shocks = np.concatenate(
        [
            np.where(history.unlike(member.series), np.nan, member.shocks)
            for member in state.learned_from()
        ]
    )
    if not len(shocks):
        raise ValueError(too_short(n_steps))
    unknown = ~np.isfinite(shocks).any(axis=0)
    if unknown.any():
        raise ValueError(never_checked(state.history.schema.names[unknown]))
    return completed(shocks[:, np.newaxis], np.random.RandomState(0))[:, 0]


def known_errors(state: ForecasterState) -> KnownErrors:
    """What is known of errors up to the horizon, for who has no history."""
    calibration, n_steps = state.calibration, _n_steps(state, state.model.horizon)
    if isinstance(calibration, KnownErrors):
        return calibration
    try:
        timed = errors_of(state, n_steps)
        untimed = timed
        if calibration.seasons:
            untimed = errors_of(state, n_steps, timed=False)
        found = {True: timed, False: untimed}
    except ValueError:
        found = {}
    series = calibration.history.series[next(iter(calibration.n_train))]
    return KnownErrors(found, n_steps, series.index[:1], series.schema.step)


def _n_steps(state: ForecasterState, farthest: int) -> int:
    """Farthest step that errors are needed for.

    That is the farthest one after the end of any instance. But it takes twice as many
    rows from all instances: for the sake of those that ended early, at most half of
    what the longest has beside one window.
    """
    calibration, specification = state.calibration, state.model.specification
    n_steps = max(farthest, specification.horizon)
    if isinstance(calibration, KnownErrors):
        return max(n_steps, calibration.n_steps)
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


def rolling_intervals(
    state: ForecasterState,
    forecasts: np.ndarray,
    rows: np.ndarray,
    first_time,
    coverage: float,
) -> np.ndarray:
    """Intervals (n, horizon, n_targets, 2) around forecasts after windows of a table.

    Which adapt to errors on the way. ``rows`` are those of the table in original units,
    of the targets; the time of the first is None if it is not known.
    """
    horizon = state.model.horizon
    origins = np.arange(state.model.window_rows - 1, len(rows))
    timed, numbers = first_time is not None, None
    calibration = errors_of(state, horizon, timed=timed)
    if timed:
        numbers = rows_ahead(origins, horizon)
        numbers += state.calibration.number_of(first_time)
    scales = calibration.spread.at(numbers, slice(horizon)) * state.single.scale
    errors = (rows_after(rows, origins, horizon) - forecasts) / scales
    varies = state.single.varies
    start = Tracked.start(calibration, levels_of(coverage), horizon, varies)
    known = np.stack([one.around_forecast for one in start.along(errors)])
    # Errors of h steps are known h rows after their origin.
    steps = np.arange(horizon)
    last = np.maximum(np.arange(len(forecasts))[:, np.newaxis] - steps, 0)
    # Of each origin (n, horizon), by level and series.
    ends = known.swapaxes(1, 2)[last, steps].swapaxes(2, 3)
    return forecasts[..., np.newaxis] + ends * scales[..., np.newaxis]


@dataclass(frozen=True, eq=False)
class StreamErrors:
    """What is known at a row of a stream about the errors of its forecasts.

    Parameters
    ----------
    spread : Spread
    scale : ndarray of shape (n_targets,)
        Units of the errors.
    tracked : Tracked
        As of the last row.
    forecasts : ndarray of shape (horizon, horizon, n_targets)
        After the last rows, the newest first; NaN before the first.
    number : int
        Of the last row.
    """

    spread: Spread
    scale: np.ndarray
    tracked: Tracked
    forecasts: np.ndarray
    number: int

    @classmethod
    def start(cls, state: ForecasterState, coverage: float) -> "StreamErrors":
        """At the present time of a forecaster."""
        member, horizon = state.single, state.model.horizon
        intervals = Intervals(state, 1)
        shown, last = member.schema.shown, member.n_known - 1
        first = max(member.n_train - 1, last - horizon + 1, 0)
        recent = np.arange(last, first - 1, -1)
        forecasts = np.full((horizon, horizon, len(member.scale)), np.nan)
        made = member.forecasts_after(recent[::-1], horizon)[::-1, :, shown]
        forecasts[: len(made)] = made
        return cls(
            intervals.calibration.spread,
            member.scale,
            intervals.tracked(None, horizon, levels_of(coverage)),
            forecasts,
            last + intervals.first_number(None),
        )

    def after(self, row: np.ndarray, forecast: np.ndarray) -> "StreamErrors":
        """After a row (n_targets,) and the forecast (horizon, n_targets) from it on."""
        steps = np.arange(len(forecast))
        errors = row - self.forecasts[steps, steps]
        errors = errors / self._scales(np.full(len(steps), self.number + 1))
        return replace(
            self,
            tracked=self.tracked.after(errors),
            forecasts=np.concatenate([forecast[np.newaxis], self.forecasts[:-1]]),
            number=self.number + 1,
        )

    @property
    def interval(self) -> np.ndarray:
        """Ends (horizon, n_targets, 2) around the newest forecast."""
        newest = self.forecasts[0]
        offsets = self.tracked.around_forecast * self._scales(
            self.number + 1 + np.arange(len(newest))
        )
        return newest[..., np.newaxis] + np.moveaxis(offsets, 0, -1)

    def _scales(self, numbers: np.ndarray) -> np.ndarray:
        return self.spread.at(numbers, slice(len(numbers))) * self.scale


def levels_of(coverage: float) -> np.ndarray:
    """Of both ends of an interval."""
    return np.array([0.5 - coverage / 2, 0.5 + coverage / 2])
