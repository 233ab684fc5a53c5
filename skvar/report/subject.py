"""What a report is about: a fitted forecaster, rows, and what is asked of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._data.lazy import Recomputable, lazy
from .._data.tables import continue_index, regular_step
from .trial import Trial, trial


@dataclass(frozen=True, eq=False)
class Subject(Recomputable):
    """A forecaster, the rows that it knows, and the wishes of who asks for a report.

    Parameters
    ----------
    forecaster : forecaster of skvar
        Fitted to a single table.
    rows : DataFrame
        Its series up to now, in original units.
    covariates : DataFrame or None
        Columns of ``X`` in the same rows.
    ahead : DataFrame or None
        ``X`` of the rows that follow, as for ``predict``.
    n_earlier : int
        First of the rows that the forecaster does not hold itself.
    n_learned : int
        First of the rows that it was estimated on.
    n_fitted : int
        All rows that it was estimated on, also those that are not here.
    has_all_rows : bool
        Whether it holds these itself.
    window_rows : int
        Rows that its matrices look back.
    steps : int
        Rows to forecast.
    coverages : sequence of float
        Of intervals.
    held_out : float
        Share of the rows to test on, where too few came after the fit.
    n_origins : int
        Rows after which the test forecasts, at most.
    random_state : int, RandomState or None
        Seed of the bands of responses, and of the forecaster of the first rows.
    only_here : str
        Why no forecaster of the same kind can be fitted to the first rows; empty where
        one can.
    caution : str
        What a reader must know of the rows, if anything.
    """

    forecaster: Any
    rows: pd.DataFrame
    covariates: pd.DataFrame | None
    ahead: pd.DataFrame | None
    n_earlier: int
    n_learned: int
    n_fitted: int
    has_all_rows: bool
    window_rows: int
    steps: int
    coverages: Sequence[float]
    held_out: float
    n_origins: int
    random_state: Any
    only_here: str = ""
    caution: str = ""

    @property
    def name(self) -> str:
        """Of the class of the forecaster."""
        return type(self.forecaster).__name__

    @property
    def verbose(self) -> bool:
        """Whether to show how far a report is."""
        return bool(self.forecaster.verbose)

    @lazy
    def step(self) -> pd.DateOffset | int:
        """From one row to the next."""
        return regular_step(self.rows.index, "y")

    @lazy
    def times_ahead(self) -> pd.Index:
        """Of the rows that are forecast."""
        return continue_index(self.rows.index, self.step, self.steps)

    @lazy
    def _time_format(self) -> str | None:
        """Of timestamps that need no more than days or minutes."""
        times = self.rows.index
        if not isinstance(times, pd.DatetimeIndex):
            return None
        zone = "" if times.tz is None else " %z"
        for unit, form in {"D": "%Y-%m-%d", "min": "%Y-%m-%d %H:%M"}.items():
            clock = times.tz_localize(None)
            if (clock == clock.floor(unit)).all():
                return form + zone
        return None

    def labels(self, times: pd.Index) -> list[str]:
        """Times as text; one time is the same text everywhere."""
        if self._time_format is None:
            return [str(time) for time in times]
        return [*times.strftime(self._time_format)]

    @lazy
    def seasons(self) -> list[int]:
        """Rows of the seasons that the forecaster uses, ascending."""
        found = np.atleast_1d(self.forecaster.sp_)
        return [int(season) for season in found if season > 1]

    @lazy
    def changes(self) -> bool:
        """Whether the matrices differ from time to time."""
        return self.forecaster.network_weight_ > 0

    @lazy
    def now(self):
        """The matrices after the last row, a `skvar.VARCoefficients`."""
        if not self.changes:
            return self.forecaster.var_coefficients(self.table)
        return self.forecaster.var_coefficients(self.table, at=self.rows.index[-1])

    @lazy
    def table(self) -> pd.DataFrame | None:
        """Rows that matrices are asked of; None for those of the forecaster."""
        if self.has_all_rows:
            return None
        past = [*(self.forecaster.past_covariates or [])]
        if not past or self.covariates is None:
            return self.rows
        return pd.concat([self.rows, self.covariates[past]], axis=1)

    @lazy
    def trial(self) -> Trial:
        """The test on rows that a forecaster has not learned from."""
        return trial(self)
