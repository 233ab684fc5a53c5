"""Forecasters that every other one has to beat."""

import numbers
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

from .._data.tables import as_frame
from .._typing import Table
from .._var.estimation import statsmodels
from .._var.process import run
from ..forecasting import SAMoVARForecaster

if TYPE_CHECKING:
    from typing_extensions import Self

_BLOCK = 256


def baselines(lags: int = 96) -> dict[str, BaseForecaster]:
    """Last value, seasonal naive, classical VAR and direct ridge regression.

    Parameters
    ----------
    lags : int, default=96
        Rows of history that the ridge regression sees. The VAR has at most 24 lags.

    Returns
    -------
    dict of str to forecaster
        Unfitted, for `benchmark`.

    Examples
    --------
    >>> from skvar.benchmark import baselines
    >>> list(baselines())
    ['last value', 'seasonal naive', 'VAR', 'ridge']
    """
    ridge = SAMoVARForecaster(lags, n_layers=0, static_path="ridge", random_state=0)
    return {
        "last value": SeasonalNaive(season=1),
        "seasonal naive": SeasonalNaive(),
        "VAR": ClassicalVAR(),
        "ridge": ridge,
    }


class _AfterManyRows(BaseForecaster):
    """A forecaster that forecasts after many rows of a table at once."""

    _tags = {
        "authors": "skvar developers",
        "maintainers": "skvar developers",
        "capability:multivariate": True,
        "capability:exogenous": False,
        "capability:insample": False,
        "capability:update": True,
        "y_inner_mtype": "pd.DataFrame",
        "requires-fh-in-fit": False,
    }
    _config = {"remember_data": False}
    _y = _X = None

    def _fit(
        self,
        y: pd.DataFrame,
        X: pd.DataFrame | None = None,
        fh: ForecastingHorizon | None = None,
    ) -> "Self":
        self._known = y
        self._estimate(y.to_numpy(dtype=float))
        return self

    def _update(
        self, y: pd.DataFrame, X: pd.DataFrame | None = None, update_params: bool = True
    ) -> "Self":
        self._known = y.combine_first(self._known)
        if update_params:
            self._estimate(self._known.to_numpy(dtype=float))
        return self

    def _predict(
        self, fh: ForecastingHorizon, X: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        steps = fh.to_relative(self.cutoff).to_numpy().astype(int)
        last = self._known.index.get_indexer(self.cutoff)
        [values] = self.rolling_batches(self._known, ends=last, steps=steps.max())
        index = fh.to_absolute_index(self.cutoff)
        return pd.DataFrame(values[0, steps - 1], index, self._known.columns)

    def rolling_batches(
        self, Y: Table, *, ends: np.ndarray, steps: int
    ) -> Iterator[np.ndarray]:
        """Forecast after rows of a table, as forecasters of skvar do."""
        values = as_frame(Y, "Y").to_numpy()
        for some in np.split(ends, range(_BLOCK, len(ends), _BLOCK)):
            yield self._after(values, some[:, np.newaxis], steps)


class SeasonalNaive(_AfterManyRows):
    """Repeat the last season.

    As sktime's ``NaiveForecaster(sp=season)``, but for all test windows at once.

    Parameters
    ----------
    season : int, optional
        Rows in a season; in `benchmark` that of the data, else 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from skvar.benchmark import SeasonalNaive
    >>> SeasonalNaive(2).fit(pd.Series([1.0, 2.0, 3.0])).predict([1, 2, 3]).tolist()
    [2.0, 3.0, 2.0]
    """

    n_parameters_ = 0

    def __init__(self, season: int | None = None):
        self.season = season
        super().__init__()

    def _estimate(self, values: np.ndarray) -> None:
        check_scalar(self._n_rows(), "season", numbers.Integral, min_val=1)
        if len(values) < self._n_rows():
            raise ValueError(
                f"y has {len(values)} row(s), fewer than season={self.season}; pass "
                "more rows or lower season."
            )

    def _after(self, values: np.ndarray, ends: np.ndarray, steps: int) -> np.ndarray:
        n_rows = self._n_rows()
        return values[ends + 1 - n_rows + np.arange(steps) % n_rows]

    def _n_rows(self) -> int:
        return 1 if self.season is None else self.season

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Settings for sktime's test suite.

        Parameters
        ----------
        parameter_set : str
            Ignored.

        Returns
        -------
        list of dict
        """
        return [{}, {"season": 3}]


class ClassicalVAR(_AfterManyRows):
    """VAR by least squares with statsmodels, its order by Schwarz's criterion.

    As sktime's ``VAR(maxlags, ic="bic")``, which forecasts after the rows of fit only,
    but for all test windows at once. Constant series stay what they are.

    Parameters
    ----------
    max_lags : int, default=24
        Highest order tried; fewer on short tables.

    Examples
    --------
    >>> from skvar.benchmark import ClassicalVAR
    >>> from skvar.datasets import make_var
    >>> simulated = make_var(500, order=2, random_state=0)
    >>> ClassicalVAR().fit(simulated.series).matrices_.shape
    (2, 3, 3)
    """

    _tags = {"python_dependencies": "statsmodels"}

    def __init__(self, max_lags: int = 24):
        self.max_lags = max_lags
        super().__init__()

    @property
    def n_parameters_(self) -> int:
        """Coefficients and intercepts."""
        return self.intercept_.size + self.matrices_.size

    def _estimate(self, values: np.ndarray) -> None:
        check_scalar(self.max_lags, "max_lags", numbers.Integral, min_val=1)
        n_rows, n_series = values.shape
        varies = np.ptp(values, axis=0) > 0
        # So many that a row is left for each coefficient of an equation.
        most = max(1, (n_rows - n_series - 1) // (n_series + 1))
        intercept, matrices = values[0].copy(), np.zeros((1, n_series, n_series))
        if varies.any():
            max_lags = min(self.max_lags, most)
            intercept[varies], found = _least_squares(values[:, varies], max_lags)
            matrices = np.zeros((len(found), n_series, n_series))
            matrices[np.ix_(range(len(found)), varies, varies)] = found
        self.intercept_, self.matrices_ = intercept, matrices

    def _after(self, values: np.ndarray, ends: np.ndarray, steps: int) -> np.ndarray:
        order, n_series = self.matrices_.shape[:2]
        start = values[ends + 1 - order + np.arange(order)].swapaxes(0, 1)
        inflow = np.broadcast_to(self.intercept_, (steps, len(ends), n_series))
        return run(self.matrices_, start, inflow).swapaxes(0, 1)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Settings for sktime's test suite.

        Parameters
        ----------
        parameter_set : str
            Ignored.

        Returns
        -------
        list of dict
        """
        return [{"max_lags": 2}, {"max_lags": 1}]


def _least_squares(values: np.ndarray, max_lags: int) -> tuple[np.ndarray, np.ndarray]:
    """Intercept (n_series,) and matrices (order, n_series, n_series), at least one."""
    n_series = values.shape[1]
    if n_series > 1:
        model = statsmodels("tsa.vector_ar.var_model").VAR(values)
        fitted = model.fit(maxlags=max_lags, ic="bic")
        intercept, matrices = fitted.intercept, fitted.coefs
    else:
        ar_model = statsmodels("tsa.ar_model")
        chosen = ar_model.ar_select_order(values[:, 0], max_lags, ic="bic")
        intercept, matrices = np.split(chosen.model.fit().params, [1])
    if not len(matrices):
        matrices = np.zeros((1, n_series, n_series))
    return intercept, matrices.reshape(-1, n_series, n_series)
