"""Intervals, quantiles and paths around the forecasts of a fitted forecaster."""

import copy
import numbers
from collections import deque
from collections.abc import Hashable, Iterator, Mapping

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state, check_scalar
from sktime.datatypes import convert_to
from sktime.forecasting.base import ForecastingHorizon

from ._closed_form.conformal import Calibration, track
from ._data.tables import join_panel, split_panel
from ._data.windows import validation_rows

# The most that a quantile moves after an error, in root mean square errors. On ETTh1
# coverage is within 5 points of the nominal one from 0.01 to 0.05.
_RATE = 0.02

# About so many origins of forecasts, evenly spaced, calibrate at most; of each instance
# of a panel an equal part, but at least one.
_MOST_ORIGINS = 1024


class Uncertainty:
    """sktime's probabilistic forecasts, by conformal calibration.

    A second forecaster of the same parameters is fitted to all rows but the last block
    that this one learned from: its errors there are those of forecasts of rows that it
    has never seen. Where that leaves it too few rows, it does without early stopping.
    Rows that came by ``update`` without learning add this forecaster's own errors,
    which quantiles follow. The second forecaster is fitted at the first use, and anew
    after this one learned again or rows of the history were revised.
    """

    def sample_paths(self, fh=None, X=None, *, n_paths=100, random_state=None):
        """Draw futures that have the dependence of the forecast errors.

        Each path is the forecast plus the errors of all steps and series after one
        origin, drawn with replacement from those that calibrate the intervals: errors
        of different series and steps belong together.

        Parameters
        ----------
        fh : int, list, array, Index or ForecastingHorizon, optional
            Steps after the cutoff, as in ``predict``.
        X : table, optional
            Known covariates, if any were fitted, as for ``predict``.
        n_paths : int, default=100
            Number of paths.
        random_state : int, RandomState or None, default=None
            Seed of the draws.

        Returns
        -------
        ndarray of shape (n_paths, len(fh), n_series)
            In original units. For a panel, call it on ``instance(key)``.

        Raises
        ------
        ValueError
            If ``fh`` has times that are not after the cutoff, or the history is too
            short to calibrate.
        """
        self._check_fitted()
        fh = self._check_fh(fh)
        X, _ = self._check_X_y(X=X)
        forecasts, steps = self._predict_table(fh, X).to_numpy(), self._steps_of(fh)
        if steps.min() < 1:
            raise ValueError("fh has times up to the cutoff; paths begin after it.")
        calibration, n_steps = self._calibration_of(fh)
        errors = self._errors_at(calibration, steps.clip(1, n_steps))
        errors = errors[np.isfinite(errors).all(axis=(1, 2))]
        if not len(errors):
            raise ValueError(self._too_short(steps.max()))
        drawn = check_random_state(random_state).randint(len(errors), size=n_paths)
        return forecasts + errors[drawn] * self._scale

    def rolling_interval(self, Y, X=None, *, coverage=0.9):
        """Intervals after every window of a table, which adapt to errors on the way.

        What ``update(..., update_params=False)`` and ``predict_interval`` give after
        each row of a table that follows the rows learned from.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units, as for ``rolling_forecast``.
        X : DataFrame, optional
            Known covariates, as for ``rolling_forecast``.
        coverage : float, default=0.9
            Share of the truth that the intervals are to hold.

        Returns
        -------
        ndarray of shape (n_rows - lags + 1, horizon, n_targets, 2)
            Lower and upper ends in original units, for the forecasts of
            ``rolling_forecast(Y, X)``.

        Raises
        ------
        ValueError
            If ``coverage`` is not between 0 and 1, or the rows learned from are too
            few to calibrate.
        TypeError
            If ``coverage`` is not one number.
        """
        check_scalar(coverage, "coverage", numbers.Real)
        if not 0 < coverage < 1:
            raise ValueError(f"coverage={coverage} must be between 0 and 1.")
        forecasts, scale = self.rolling_forecast(Y, X), self._scale
        levels = np.array([0.5 - coverage / 2, 0.5 + coverage / 2])
        calibration = (self._whole or self)._calibrated(self.horizon_)
        rows = pd.DataFrame(Y).to_numpy(dtype=float)[:, self._shown]
        origins = np.arange(self.network_.lags - 1, len(rows))
        truth = _rows_after(rows, origins, self.horizon_)
        errors = (truth - forecasts) / scale
        followed = _followed(calibration, errors, levels)
        # Errors of h steps are known h rows after their origin.
        known, ends = np.stack([*followed]), np.empty((*forecasts.shape, 2))
        for step in range(forecasts.shape[1]):
            last = np.maximum(np.arange(len(forecasts)) - step, 0)
            offsets = np.sort(known[last, :, step], axis=1)
            ends[:, step] = np.moveaxis(offsets, 1, -1)
        return forecasts[..., np.newaxis] + ends * scale[:, np.newaxis]

    def predict_residuals(self, y=None, X=None):
        """Truth minus forecast.

        Parameters
        ----------
        y : table or panel, optional
            The truth, at times that the history holds or that follow it; the history
            by default, where forecasts are one step ahead.
        X : table or panel, optional
            Known covariates, if any were fitted, as for ``predict``.

        Returns
        -------
        Series, DataFrame or array
            In original units, at the times of ``y``.
        """
        if isinstance(getattr(y, "index", None), pd.MultiIndex):
            parts = split_panel(X)
            residuals = {
                key: self.instance(key).predict_residuals(table, parts.get(key))
                for key, table in split_panel(y).items()
            }
            return join_panel(residuals, y.index.names)
        if y is not None:
            return super().predict_residuals(y=y, X=X)
        self.check_is_fitted()
        return convert_to(
            self._each(_residuals),
            self._y_metadata["mtype"],
            store=self._converter_store_y,
            store_behaviour="freeze",
        )

    def _predict_quantiles(self, fh, X, alpha):
        levels, order = np.unique(np.asarray(alpha, float), return_inverse=True)
        columns = self._get_columns("predict_quantiles", alpha=alpha)
        calibration, n_steps = self._calibration_of(fh)

        def quantiles(member, X):
            # Forecasts in-sample are one step ahead.
            steps = member._steps_of(fh).clip(1, n_steps)
            offsets = member._offsets(calibration, steps, levels)[order]
            forecasts = member._predict_table(fh, X)
            values = forecasts.to_numpy() + offsets * member._scale
            # Columns are the levels of the first series, then those of the second.
            values = values.transpose(1, 2, 0).reshape(len(forecasts), -1)
            return pd.DataFrame(values, forecasts.index, columns)

        return self._each(quantiles, X)

    def _predict_var(self, fh, X=None, cov=False):
        if cov:
            raise NotImplementedError(
                "There are no covariances of steps (cov=True); sample_paths draws "
                "futures that have them."
            )
        calibration, n_steps = self._calibration_of(fh)

        def variances(member, _):
            steps = member._steps_of(fh).clip(1, n_steps)
            errors = member._errors_at(calibration, steps)
            squares = np.nanmean(np.square(errors), axis=0)
            index = fh.to_absolute_index(self.cutoff)
            return pd.DataFrame(squares * member._scale**2, index, self._targets)

        return self._each(variances)

    @property
    def _scale(self) -> np.ndarray:
        """Standard deviations of the forecast series."""
        return self.scaler_.scale_[self._shown]

    def _steps_of(self, fh: ForecastingHorizon) -> np.ndarray:
        """Steps after the last known row of the only table; not positive in-sample."""
        return self._rows_of(fh) - self._n_known + 1

    def _offsets(
        self, calibration: Calibration, steps: np.ndarray, levels: np.ndarray
    ) -> np.ndarray:
        """Quantiles of errors (n_levels, len(steps), n_series), levels rising."""
        later = self._later_errors(max(steps.max(), self.horizon_))
        [offsets] = deque(_followed(calibration, later, levels), maxlen=1)
        return np.sort(offsets, axis=0)[:, steps - 1]

    def _errors_at(self, calibration: Calibration, steps: np.ndarray) -> np.ndarray:
        """Errors (n_origins, len(steps), n_series) that calibrate, and later ones."""
        later = self._later_errors(max(steps.max(), self.horizon_))
        parts = calibration.errors, later
        return np.concatenate([part[:, steps - 1] for part in parts])

    def _calibration_of(self, fh: ForecastingHorizon) -> tuple[Calibration, int]:
        """Calibration for a horizon, and the farthest step that it is for.

        That is the farthest one after the end of any instance. But it takes twice as
        many rows from all instances: for the sake of those that ended early, at most
        half of what the longest has beside one window.
        """
        whole, farthest = self._whole or self, fh.to_relative(self.cutoff)[-1]
        n_steps = max(int(farthest), self.horizon_)
        spare = max(whole._n_learned.values()) - self._window_rows - self.horizon_
        n_behind = max(self._n_behind(), whole._n_behind())
        n_steps = max(n_steps, min(n_steps + n_behind, spare // 4))
        return whole._calibrated(n_steps), n_steps

    def _n_behind(self) -> int:
        """Steps from the end of the table that ends first to the cutoff."""
        members = self._members().values()
        return max(member._now + 1 - member._n_known for member in members)

    def _calibrated(self, n_steps: int) -> Calibration:
        """Standardised errors of at least so many steps, of all instances."""
        second, blocks = self._second(n_steps)
        key = second.early_stopping, *blocks.values()
        if key not in self._calibration:
            before = {name: n - blocks[name] for name, n in self._n_learned.items()}
            self._calibration[key] = second.fit(*self._first_rows(before)), None
        second, calibration = self._calibration[key]
        if calibration is None or calibration.errors.shape[1] < n_steps:
            errors = self._calibration_errors(second, blocks, n_steps)
            calibration = Calibration(errors)
            self._calibration[key] = second, calibration
        return calibration

    def _second(self, n_steps: int) -> tuple["Uncertainty", dict[Hashable, int]]:
        """A forecaster to be fitted to all but blocks of last rows, and these."""
        second = self.clone()
        vars(second).update(copy.deepcopy(self._learned_with))
        second.horizon, second.warm_start = self.horizon_, False
        blocks = second._calibration_blocks(self._n_learned, n_steps)
        if max(blocks.values()) < n_steps:
            # Rather a forecaster that holds no rows out than no intervals.
            second.early_stopping = False
            blocks = second._calibration_blocks(self._n_learned, n_steps)
        if max(blocks.values()) < n_steps:
            raise ValueError(self._too_short(n_steps))
        return second, blocks

    def _calibration_errors(
        self, second: "Uncertainty", blocks: Mapping[Hashable, int], n_steps: int
    ) -> np.ndarray:
        errors, others = [], second._twin()._members()
        most = max(_MOST_ORIGINS // len(others), 1)
        for key, whole in self._in_order().items():
            if not blocks.get(key):
                continue
            n_rows, block, other = self._n_learned[key], blocks[key], others[key]
            origins = np.linspace(n_rows - block - 1, n_rows - 2, min(block, most))
            other._see(whole, n_rows)
            origins = origins.round().astype(int)
            parts = other._forecasts(other._values(), origins, n_steps)
            truth = _rows_after(other._rest(), origins, n_steps)
            error = truth - np.concatenate(list(parts))
            errors.append(error[..., self._shown] / whole._scale)
        errors = np.concatenate(errors)
        if not np.isfinite(errors).any(axis=0).all():
            raise ValueError(self._too_short(n_steps))
        return errors

    def _calibration_blocks(
        self, n_rows: Mapping[Hashable, int], n_steps: int
    ) -> dict[Hashable, int]:
        """Last rows of each table to calibrate on, 0 where too few would be left.

        For a forecaster that is yet to be fitted to the rows before them.
        """
        pretrained = hasattr(self, "pretrained_network_")
        blocks = {}
        for key, n in n_rows.items():
            held_out = validation_rows(n, n_steps, self.validation_fraction)
            block = min(max(held_out, 2 * n_steps), n - 2)
            while block > 0 and not (
                pretrained or self._suffices(n - block, self.horizon)
            ):
                block -= 1
            blocks[key] = max(block, 0)
        return blocks

    def _later_errors(self, n_steps: int) -> np.ndarray:
        """Errors of this forecaster on rows that it did not learn from.

        Forecasts stay valid until it learns again; they are kept over updates.
        """
        first = max(self._n_learned[None], 1) - 1
        origins = np.arange(first, self._n_known - 1)
        none = np.empty((0, n_steps, self.n_features_in_))
        forecasts = self._later.get((self._key, n_steps), none)
        new = origins[len(forecasts) :]
        if len(new):
            parts = self._forecasts(self._values(), new, n_steps)
            forecasts = np.concatenate([forecasts, *parts])
            self._later[self._key, n_steps] = forecasts
        rest = self._rest()[: self._n_known]
        errors = _rows_after(rest, origins, n_steps) - forecasts[: len(origins)]
        return errors[..., self._shown] / self._scale

    def _too_short(self, n_steps: int) -> str:
        return (
            "The history is too short for intervals: they are calibrated on rows that "
            f"a second forecaster has not seen, with forecasts of {n_steps} step(s), "
            "and what is left must be enough to fit it. Pass more rows, lower lags or "
            "horizon, or ask for fewer steps."
        )


def _followed(
    calibration: Calibration, errors: np.ndarray, levels: np.ndarray
) -> Iterator[np.ndarray]:
    """Quantiles of the steps of some errors, before the first and after each."""
    n_steps = errors.shape[1]
    start, scale = calibration.quantiles(levels)[:, :n_steps], calibration.scale
    return track(start, errors, levels, _RATE * scale[:n_steps])


def _rows_after(rows: np.ndarray, origins: np.ndarray, n_steps: int) -> np.ndarray:
    """Rows (n_origins, n_steps, n_series) that follow; NaN beyond the last one."""
    beyond = np.full((n_steps, rows.shape[1]), np.nan)
    after = origins[:, np.newaxis] + np.arange(1, n_steps + 1)
    return np.concatenate([rows, beyond])[after]


def _residuals(member, _) -> pd.DataFrame:
    truth = member._tables[None][: member._n_known]
    origins = np.arange(-1, len(truth) - 1)
    forecasts = np.concatenate(list(member._forecasts(member._values(), origins, 1)))
    residuals = truth - forecasts[:, 0] - member._effects(len(truth))
    return residuals[member._targets]
