"""What the errors of forecasts of unseen rows say about those of the next ones."""

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from .._closed_form.conformal import CalibrationErrors
from .._data.seasons import seasons_of
from .._data.tables import position
from .._data.windows import validation_rows
from .._models.fitted import FittedModel
from .._models.specification import Specification
from .._protocols.locks import Lock
from .fitted_series import FittedSeries
from .history import History, SeriesHistory
from .learning import learn
from .residuals import Filler

# About so many origins of forecasts, evenly spaced, calibrate at most; of each instance
# of a panel an equal part, but at least one.
_MOST_ORIGINS = 1024


@dataclass(frozen=True, eq=False)
class Calibration:
    """Errors of a model of the same specification that has not seen the last rows.

    This calibration model is estimated at the first use on all rows but a last block,
    and forecasts the block: its errors are those of forecasts of rows that it has never
    seen. Where that leaves it too few rows, it does without early stopping.

    Parameters
    ----------
    specification : Specification
    history : History
        Its first ``n_train`` rows are those that the forecaster learned from.
    n_train : mapping of label to int
    pretrained : FittedModel, optional
        As of `learn`.
    """

    specification: Specification
    history: History
    n_train: Mapping[Hashable, int]
    pretrained: FittedModel | None = None
    _models: dict = field(default_factory=dict)
    _errors: dict = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def on(self, longer: History) -> "Calibration":
        """The same where the history has gone on."""
        return replace(self, history=longer)

    def anew(self) -> "Calibration":
        """Nothing estimated yet: rows of the history have changed."""
        return Calibration(
            self.specification, self.history, self.n_train, self.pretrained
        )

    def n_independent(self, n_steps: int) -> float:
        """Errors so many steps ahead that do not overlap; 0 with too few rows."""
        blocks = self._last_rows(self.specification, n_steps)
        return sum(blocks[key] for key in self._judged) / n_steps

    def errors(self, n_steps: int, *, timed: bool = True) -> CalibrationErrors:
        """Standardised errors of at least so many steps, of all instances.

        Seasons of their spread are left out for forecasts of unknown times, which are
        not ``timed``.

        Raises
        ------
        ValueError
            If there are too few rows to calibrate.
        """
        specification, n_train = self._without_last_rows(n_steps)
        key = specification.early_stopping, timed, *n_train.values()
        seasons = self.seasons if timed else ()
        with self._lock:
            known = self._errors.get(key)
            if known is None or known.n_steps < n_steps:
                errors, rows = self._errors_of(self.model(n_steps), n_steps)
                n_rows = sum(self.n_train[key] - n_train[key] for key in self._judged)
                known = CalibrationErrors.of(errors, n_rows, rows, seasons)
                self._errors[key] = known
        return known

    @property
    def seasons(self) -> tuple[int, ...]:
        """Rows of the seasons that errors may have."""
        return seasons_of(self.specification.sp, self.history.schema.step)

    def number_of(self, time) -> int:
        """The row of a time, counted from the same time for all instances."""
        first = self.history.series[next(iter(self.n_train))]
        return first.position(time)

    @property
    def _judged(self) -> list[Hashable]:
        """Instances whose forecasts are."""
        return self.history.in_order(self.n_train)

    def model(self, n_steps: int) -> "CalibrationModel":
        """The calibration model for errors of so many steps."""
        specification, n_train = self._without_last_rows(n_steps)
        key = specification.early_stopping, *n_train.values()
        # One thread estimates, others wait for what it finds.
        with self._lock:
            if key not in self._models:
                self._models[key] = CalibrationModel.learn(
                    specification, self.history, n_train, self.pretrained
                )
            return self._models[key]

    def _without_last_rows(
        self, n_steps: int
    ) -> tuple[Specification, dict[Hashable, int]]:
        """What to estimate on how many rows of each table."""
        specification = self.specification
        blocks = self._last_rows(specification, n_steps)
        if max(blocks.values()) < n_steps:
            # Rather a model that holds no rows out than no intervals.
            specification = replace(specification, early_stopping=False)
            blocks = self._last_rows(specification, n_steps)
        if max(blocks.values()) < n_steps:
            longest = [self._longest_blocks(key, n_steps) for key in self.n_train]
            is_late = (np.max(longest, axis=0) < n_steps)[self.history.schema.shown]
            if is_late.any() and n_steps < max(self.n_train.values()):
                raise ValueError(never_checked(self.history.schema.targets[is_late]))
            raise ValueError(too_short(n_steps))
        return specification, {key: n - blocks[key] for key, n in self.n_train.items()}

    def _last_rows(
        self, specification: Specification, n_steps: int
    ) -> dict[Hashable, int]:
        """Last rows of each table to calibrate on, 0 where too few would be left."""
        blocks, horizon = {}, specification.horizon
        for key, n in self.n_train.items():
            block = _block(specification, n, n_steps)
            block = self._longest_blocks(key, block).min()
            while block > 0 and not (
                self.pretrained is not None
                or specification.suffices(n - block, horizon)
            ):
                block -= 1
            blocks[key] = max(block, 0)
        return blocks

    def _longest_blocks(self, key: Hashable, wanted: int) -> np.ndarray:
        """Last rows (n_series,) to calibrate on, at most so many as are wanted.

        Of a series that begins on these, as many as hold half of its values.
        """
        n, table = self.n_train[key], self.history.series[key].table
        if not n:
            return np.zeros(table.shape[1], dtype=int)
        begins_before = table[: max(n - wanted, 0)].notna().any().to_numpy()
        if begins_before.all():
            return np.full(table.shape[1], wanted)
        n_before = table[:n].notna().to_numpy().cumsum(axis=0)
        half = n - 1 - (2 * n_before >= n_before[-1]).argmax(axis=0)
        return np.where(begins_before, wanted, np.minimum(half, wanted))

    def _errors_of(
        self, fitted: "CalibrationModel", n_steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """On the last rows; of series that have none there, on rows learned from.

        With the numbers of the rows that were forecast.
        """
        ends = fitted.n_train
        parts = [*self._errors_between(fitted, n_steps, ends, self.n_train)]
        missing = ~_ever_known(parts)
        if missing.any():
            starts = dict.fromkeys(ends, fitted.model.window_rows)
            for errors, rows in self._errors_between(fitted, n_steps, starts, ends):
                errors[..., ~missing] = np.nan
                parts.append((errors, rows))
        missing = ~_ever_known(parts)
        if missing.any():
            raise ValueError(never_checked(self.history.schema.targets[missing]))
        errors, rows = zip(*parts, strict=True)
        return np.concatenate(errors), np.concatenate(rows)

    def _errors_between(
        self,
        fitted: "CalibrationModel",
        n_steps: int,
        starts: Mapping[Hashable, int],
        ends: Mapping[Hashable, int],
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Errors of forecasts of rows from a start to an end, of each instance."""
        shown = self.history.schema.shown
        for key in self._judged:
            start, end = max(starts[key], 1), ends[key]
            if end <= start:
                continue
            series = self.history.series[key].first(end)
            member = fitted.on(series, key)
            origins = origins_of_calibration(start, end, len(fitted.scalers))
            truth = rows_after(member.residual.rows, origins, n_steps)
            error = truth - member.forecasts_after(origins, n_steps)
            # Of constants, others have nothing to learn.
            error[..., self.history.unlike(series)] = np.nan
            rows = rows_ahead(origins, n_steps) + self.number_of(series.index[0])
            yield error[..., shown] / series.scaler.scale_[shown], rows

    def __getstate__(self):
        # Errors follow from the model and the history. Other threads may add to models.
        return {**vars(self), "_models": dict(self._models), "_errors": {}}


@dataclass(frozen=True, eq=False)
class KnownErrors:
    """Errors of forecasts that a calibration has found, without its history.

    Parameters
    ----------
    found : mapping of bool to CalibrationErrors
        With seasons of their spread and without; none where there are too few rows.
    n_steps : int
        Steps ahead of which they are.
    first : Index
        The time that numbers of rows are counted from, an index of one.
    step : DateOffset or int
        From one row to the next.
    from_blocks : bool
        Whether the history was read by blocks, and not kept.
    """

    found: Mapping[bool, CalibrationErrors]
    n_steps: int
    first: pd.Index
    step: pd.DateOffset | int
    from_blocks: bool = False

    history: ClassVar[None] = None

    def n_independent(self, n_steps: int) -> float:
        """More than any number: nothing stands in for them."""
        return math.inf

    def errors(self, n_steps: int, *, timed: bool = True) -> CalibrationErrors:
        """As of a calibration, of so many steps at most."""
        if not self.found and self.from_blocks:
            raise ValueError(
                f"The blocks have too few rows for intervals of {self.n_steps} "
                "step(s): fit_blocks calibrates them on forecasts of the last rows "
                "alone. Pass the table to fit."
            )
        if not self.found:
            raise ValueError(too_short(n_steps))
        if n_steps > self.n_steps and self.from_blocks:
            raise ValueError(
                f"Intervals of {n_steps} steps need errors of so many, but fit_blocks "
                f"kept those of {self.n_steps}, its horizon. Fit with a longer horizon "
                "(or fh), or ask for fewer steps."
            )
        if n_steps > self.n_steps:
            raise ValueError(
                f"Intervals of {n_steps} steps need the rows of the fit, but the "
                "forecaster was saved with history=False, which keeps errors of "
                f"{self.n_steps} step(s). Save it with its history, or ask for fewer."
            )
        return self.found[timed]

    def number_of(self, time) -> int:
        """The row of a time, as errors count them."""
        return position(self.first, self.step, time)


@dataclass(frozen=True, eq=False)
class CalibrationModel:
    """A model of the first rows of a history, and the units that it learned in.

    Parameters
    ----------
    model : FittedModel
    n_train : mapping of label to int
        Rows of each table that it was estimated on.
    scalers : mapping of label to StandardScaler
        Units of these.
    """

    model: FittedModel
    n_train: Mapping[Hashable, int]
    scalers: Mapping[Hashable, StandardScaler]

    @classmethod
    def learn(
        cls,
        specification: Specification,
        history: History,
        n_train: Mapping[Hashable, int],
        pretrained: FittedModel | None,
    ) -> "CalibrationModel":
        """Estimate on the first rows of each table, in units of their own."""
        model, shorter = learn(
            specification, history.first(n_train), n_train, pretrained=pretrained
        )
        has_gaps = any(
            series.table.isna().any(axis=None) for series in history.series.values()
        )
        if has_gaps and model.fill_weights is None:
            lags = model.specification.lags
            filler = Filler(None, shorter, n_train, model.effect, lags)
            model = replace(model, fill_weights=filler.weights)
        return cls(model, n_train, shorter.units)

    def on(self, series: SeriesHistory, key: Hashable) -> FittedSeries:
        """On rows of an instance, in the units of the model."""
        series = series.in_units(self.scalers[key])
        filler, n_rows = Filler(self.model.fill_weights), len(series.index)
        return FittedSeries(self.model, series, filler, n_rows - 1, n_rows)


def rows_to_calibrate_on(
    specification: Specification, n_rows: int, n_steps: int
) -> int:
    """Last rows of a table without gaps that a calibration model forecasts.

    0 where too few would be left.
    """
    block = _block(specification, n_rows, n_steps)
    suffices = specification.suffices
    while block > 0 and not suffices(n_rows - block, specification.horizon):
        block -= 1
    return block if block >= n_steps else 0


def _block(specification: Specification, n_rows: int, n_steps: int) -> int:
    """Last rows that are wanted to calibrate on."""
    held_out = validation_rows(n_rows, n_steps, specification.validation_fraction)
    return min(max(held_out, 2 * n_steps), n_rows - 2)


def origins_of_calibration(start: int, end: int, n_instances: int) -> np.ndarray:
    """Rows after which forecasts are judged by rows from a start to an end."""
    most = max(_MOST_ORIGINS // n_instances, 1)
    origins = np.linspace(start - 1, end - 2, min(end - start, most))
    return origins.round().astype(int)


def rows_after(rows: np.ndarray, origins: np.ndarray, n_steps: int) -> np.ndarray:
    """Rows (n_origins, n_steps, n_series) that follow; NaN beyond the last one."""
    beyond = np.full((n_steps, rows.shape[1]), np.nan)
    return np.concatenate([rows, beyond])[rows_ahead(origins, n_steps)]


def rows_ahead(origins: np.ndarray, n_steps: int) -> np.ndarray:
    """Numbers (n_origins, n_steps) of the rows that follow."""
    return origins[:, np.newaxis] + np.arange(1, n_steps + 1)


def _ever_known(parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Whether there is an error of every step, by series."""
    known = [np.isfinite(errors).any(axis=0) for errors, _ in parts]
    return np.any(known, axis=0).all(axis=0)


def never_checked(names: Iterable) -> str:
    """What is wrong where no error of some series is known."""
    return (
        f"No forecast of {list(names)} can be checked: too few values are observed for "
        "intervals. Pass more rows that have some, or leave the series out."
    )


def too_short(n_steps: int) -> str:
    """What is wrong where there are too few rows for intervals."""
    return (
        "The history is too short for intervals: they are calibrated on rows that "
        f"a second model has not seen, with forecasts of {n_steps} step(s), and the "
        "rows before these must be enough to fit it. Pass more rows, lower lags or "
        "horizon, or ask for fewer steps."
    )
