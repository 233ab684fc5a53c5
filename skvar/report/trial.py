"""A test on rows that a forecaster has not learned from."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from .._data.lazy import Recomputable, lazy

if TYPE_CHECKING:
    from .subject import Subject

# Origins of forecasts below which errors say nothing.
_FEWEST = 4


@dataclass(frozen=True, eq=False)
class Trial(Recomputable):
    """Forecasts after some rows, of a forecaster that has not learned from later ones.

    Parameters
    ----------
    forecaster : forecaster of skvar
        Fitted to the first rows.
    subject : Subject
        Of whose rows.
    n_learned : int
        First of the rows that it was estimated on.
    refitted : bool
        Whether it was fitted for the test alone.
    """

    forecaster: Any
    subject: "Subject"
    n_learned: int
    refitted: bool

    @property
    def origins(self) -> np.ndarray:
        """Numbers of the rows after which it forecasts, evenly spaced."""
        last = len(self.subject.rows) - 1 - self.subject.steps
        found = np.linspace(self.n_learned - 1, last, self.subject.n_origins)
        return np.unique(found.round().astype(int))

    @lazy
    def truth(self) -> np.ndarray:
        """What came (n_origins, steps, n_series)."""
        return self.subject.rows.to_numpy()[self._ahead()]

    @lazy
    def forecasts(self) -> np.ndarray:
        """Forecasts (n_origins, steps, n_series)."""
        shape = len(self.origins), self.subject.steps, -1
        found = [
            np.asarray(one.predict(fh, X)) for one, fh, X in self._along("backtest")
        ]
        return np.concatenate(found).reshape(shape)

    def intervals(self, coverages: list[float]) -> np.ndarray:
        """Ends (n_origins, steps, n_series, n_coverages, 2) of intervals."""
        found = [
            one.predict_interval(fh, X, coverages).to_numpy()
            for one, fh, X in self._along("calibration")
        ]
        return np.stack(found).reshape(*self.truth.shape, len(coverages), 2)

    def repeated(self, season: int) -> np.ndarray:
        """Forecasts that repeat the last rows, a season of them."""
        known = self.subject.rows.ffill().to_numpy()
        steps = np.arange(self.subject.steps) % season - season + 1
        return known[(self.origins[:, np.newaxis] + steps).clip(0)]

    def _ahead(self) -> np.ndarray:
        return self.origins[:, np.newaxis] + np.arange(1, self.subject.steps + 1)

    def _along(self, name: str) -> Iterator[tuple]:
        """The forecaster at each origin, the steps, and the covariates of these."""
        rows, covariates = self.subject.rows, self.subject.covariates
        forecaster, known = copy.deepcopy(self.forecaster), self.n_learned - 1
        fh = np.arange(1, self.subject.steps + 1)
        bar = tqdm(self.origins, desc=name, disable=not self.subject.verbose)
        for origin, ahead in zip(bar, self._ahead(), strict=True):
            # The row that is known already takes the forecaster back to its time.
            some, known = slice(known, origin + 1), origin
            X = None if covariates is None else covariates[some]
            forecaster.update(rows[some], X, update_params=False)
            yield forecaster, fh, self._known(ahead)

    def _known(self, ahead: np.ndarray) -> pd.DataFrame | None:
        covariates = self.subject.covariates
        return None if covariates is None else covariates.iloc[ahead]


def trial(subject: "Subject") -> Trial:
    """On rows that came after the fit, or else by a fit to the first rows.

    Raises
    ------
    ValueError
        If rows are too few, or no forecaster can be fitted to the first of them.
    """
    n_rows, needed = len(subject.rows), subject.steps + _FEWEST - 1
    if n_rows - subject.n_learned >= needed:
        return Trial(subject.forecaster, subject, subject.n_learned, refitted=False)
    if subject.only_here:
        raise ValueError(
            f"{subject.only_here} Pass at least {needed} rows that it has not learned "
            "from as y."
        )
    if not subject.held_out:
        raise ValueError("No rows were held out (held_out=0).")
    n_first = n_rows - max(math.ceil(subject.held_out * n_rows), needed)
    if n_first < 2:
        raise ValueError(
            f"{n_rows} rows are too few to hold out {needed}, which a test of "
            f"{subject.steps} steps needs."
        )
    return Trial(_fitted_to_first(subject, n_first), subject, n_first, refitted=True)


def _fitted_to_first(subject: "Subject", n_first: int):
    """A forecaster of the same parameters, fitted to the first rows alone."""
    forecaster, covariates = subject.forecaster.clone(), subject.covariates
    # Not by set_params, which would make the clone forget what was pretrained. A
    # checkpoint would be left behind that nobody asked for.
    forecaster.checkpoint = None
    if subject.random_state is not None:
        forecaster.random_state = subject.random_state
    X = None if covariates is None else covariates[:n_first]
    steps = np.arange(1, subject.forecaster.horizon_ + 1)
    return forecaster.fit(subject.rows[:n_first], X, fh=steps)
