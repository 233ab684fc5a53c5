"""sktime's protocol, and scikit-learn's, around a network that reads windows."""

import copy
import numbers
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler
from sklearn.utils import InputTags, Tags, TargetTags, check_scalar
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon
from torch import Tensor, nn

from . import coefficients
from ._inference import device_of, forecast
from ._tables import as_frame, check_regular, continue_index, is_table
from ._training import TrainingOptions, TrainingRecord, resolve_device, seeded, train
from ._windows import Windows, split_by_time

BATCH = 256
# What scikit-learn's meta-estimators leave on a step before they call its fit.
_SKLEARN_STATE = (
    "_parent_callback_ctx",
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
    "_callback_fit_ctx",
    "_metadata_request",
    "_sklearn_output_config",
)
# What warm_start carries from one fit to the next.
_LEARNED_STATE = ("network_", "scaler_", "feature_names_in_", "horizon_")


class WindowForecaster(BaseForecaster):
    """Forecaster that a network over windows makes of a table.

    A subclass builds its network and says how it is estimated; everything from tables
    to windows and from forecasts to tables is here. The network works on series
    standardised by their means and standard deviations in fit.
    """

    _tags = {
        "authors": "skvar developers",
        "maintainers": "skvar developers",
        "python_dependencies": ["torch", "skorch"],
        "capability:multivariate": True,
        "capability:exogenous": False,
        "capability:insample": True,
        "capability:pred_int": False,
        "capability:missing_values": False,
        "capability:update": True,
        "capability:random_state": True,
        "property:randomness": "derandomized",
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "requires-fh-in-fit": False,
    }
    # The forecaster keeps its own history, as float32 in standardised units.
    _config = {"remember_data": False}
    _y = _X = None

    # fit and update

    def fit(self, y, X=None, fh=None):
        """Fit to a table of series.

        Parameters
        ----------
        y : Series, DataFrame, or array of shape (n_rows,) or (n_rows, n_series)
            Rows are consecutive, equally spaced times. sktime's panels are fitted one
            instance at a time.
        X : None
            Ignored.
        fh : int, list, array, Index or ForecastingHorizon, optional
            If ``horizon`` is None, its last step ahead is the trained horizon.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``y`` is too short, irregular, or holds NaN or inf, or a parameter is
            out of range. The forecaster then stays as it was before the call.
        """
        with self._all_or_nothing():
            return super().fit(y, X=X, fh=fh)

    def update(self, y, X=None, update_params=True):
        """Append new rows to the history and, by default, learn from them.

        Parameters
        ----------
        y : table like that of fit
            Rows that follow on the history without a gap; rows with known times
            replace the old ones. An array continues the time index.
        X : None
            Ignored.
        update_params : bool
            Whether to train on from the present weights on the longer history (closed
            forms are solved anew) or only to forecast from the new last row.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If rows are missing between history and ``y``, or ``y`` is invalid. The
            forecaster then stays as it was before the call.
        """
        with self._all_or_nothing():
            return super().update(y, X=X, update_params=update_params)

    def reset(self):
        """Return to the state after construction, but for what warm_start carries.

        Returns
        -------
        self
        """
        kept = _SKLEARN_STATE + (_LEARNED_STATE if self.warm_start else ())
        state = {name: self.__dict__[name] for name in kept if name in self.__dict__}
        super().reset()
        self.__dict__.update(state)
        return self

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Put every attribute back if the block fails."""
        before = {
            name: copy.copy(value) if isinstance(value, dict) else value
            for name, value in self.__dict__.items()
        }
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _check_X_y(self, X=None, y=None, **kwargs):
        # sktime lets inf and duplicate columns through, and restarts arrays at time 0.
        if is_table(y):
            as_frame(y, "y", getattr(self, "feature_names_in_", None))
        X_inner, y_inner = super()._check_X_y(X=X, y=y, **kwargs)
        if isinstance(y, np.ndarray) and y.ndim < 3 and self.is_fitted:
            y_inner.index = continue_index(self._index, len(y_inner))
        return X_inner, y_inner

    def _fit(self, y, X, fh):
        self._check_parameters()
        check_regular(y.index, "y")
        warm = self.warm_start and hasattr(self, "network_")
        weights = self.network_.state_dict() if warm else None
        if not warm:
            self.horizon_ = self._horizon_from(fh)
            self.feature_names_in_ = y.columns
            self.scaler_ = StandardScaler().fit(y.to_numpy(dtype=float))
        self.n_features_in_ = len(self.feature_names_in_)
        self._index, self._history = y.index, self._standardised(y)
        self._learn(self._history, weights)
        return self

    def _update(self, y, X=None, update_params=True):
        first_new = continue_index(self._index, 1)[0]
        if y.index[0] > first_new:
            raise ValueError(
                f"y begins at {y.index[0]}, but the history ends at "
                f"{self._index[-1]}: the rows from {first_new} on are missing. Pass "
                "them as well, or fit anew."
            )
        kept = ~self._index.isin(y.index)
        index = self._index[kept].append(y.index)
        order = index.argsort()
        check_regular(index[order], "y, appended to the history,")
        history = np.concatenate([self._history[kept], self._standardised(y)])
        self._index, self._history = index[order], history[order]
        if update_params:
            n_known = self._index.get_indexer(self.cutoff)[0] + 1
            self._learn(self._history[:n_known], self.network_.state_dict())
        return self

    def _learn(self, history: np.ndarray, weights: dict | None) -> None:
        """Estimate a network on the history, from given weights or from scratch."""
        device = resolve_device(self.device)
        with seeded(self.random_state, device):
            network = self._build(self.n_features_in_)
            if weights is not None:
                _load(network, weights)
            record = self._estimate(network, history, device)
        self.network_ = network
        self.loss_curve_ = record.loss_curve
        self.validation_scores_ = record.validation_scores
        self.n_epochs_ = len(record.loss_curve)
        self._computed = {}

    def _train(
        self,
        network: nn.Module,
        windows: Windows,
        validation: Windows | None,
        device: torch.device,
    ) -> TrainingRecord:
        options = TrainingOptions(
            learning_rate=self.learning_rate,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
            n_iter_no_change=self.n_iter_no_change,
            device=device,
            verbose=self.verbose,
        )
        return train(network, windows, validation, options)

    def _split(
        self, values: np.ndarray, horizon: int
    ) -> tuple[Windows, Windows | None]:
        """Training and validation windows, as early_stopping and depth ask for."""
        if self.early_stopping and self.n_layers:
            return split_by_time(values, self.lags, horizon, self.validation_fraction)
        windows = Windows(values, self.lags, horizon)
        if not len(windows):
            raise ValueError(
                f"{len(values)} rows are too few for lags={self.lags} and "
                f"horizon={horizon}: at least {self.lags + horizon} are needed. Pass "
                "more rows or lower lags or horizon."
            )
        return windows, None

    def _check_parameters(self) -> None:
        for name, least in (
            ("lags", 1), ("n_layers", 0), ("n_heads", 1), ("max_epochs", 0),
            ("batch_size", 1), ("n_iter_no_change", 1),
        ):  # fmt: skip
            check_scalar(getattr(self, name), name, numbers.Integral, min_val=least)
        for name in ("horizon", "d_model"):
            if getattr(self, name) is not None:
                check_scalar(getattr(self, name), name, numbers.Integral, min_val=1)
        for name in ("alpha", "learning_rate", "weight_decay"):
            check_scalar(getattr(self, name), name, numbers.Real, min_val=0)
        for name in ("dropout", "validation_fraction"):
            check_scalar(
                getattr(self, name), name, numbers.Real, min_val=0, max_val=1,
                include_boundaries="left",
            )  # fmt: skip

    def _horizon_from(self, fh: ForecastingHorizon | None) -> int:
        if self.horizon is not None:
            return self.horizon
        if fh is None:
            return 1
        return max(1, int(fh.to_relative(self.cutoff).to_numpy().max()))

    def _standardised(self, table: pd.DataFrame) -> np.ndarray:
        values = self.scaler_.transform(table.to_numpy(dtype=float))
        return values.astype(np.float32, order="C")

    # forecasts

    def predict(self, fh=None, X=None):
        """Forecast at a horizon, or after the last row of a table of history.

        Parameters
        ----------
        fh : int, list, array, Index or ForecastingHorizon; or table
            A horizon relative to the cutoff or in absolute times: in-sample times get
            one-step-ahead forecasts, times beyond the trained horizon come from
            feeding forecasts back. A Series, a DataFrame or an array of two dimensions
            is a history of at least ``lags`` rows instead.
        X : None
            Ignored.

        Returns
        -------
        Series, DataFrame or array
            In original units. For a history, the ``horizon`` rows that follow it, in
            the same container.

        Raises
        ------
        ValueError
            If the history is too short or has other columns than the table in fit.
        """
        if isinstance(fh, (pd.Series, pd.DataFrame)) or getattr(fh, "ndim", 0) == 2:
            return self._predict_after(fh)
        return super().predict(fh=fh, X=X)

    def rolling_forecast(self, Y):
        """Forecast after every window of a table, without refitting.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units.

        Returns
        -------
        ndarray of shape (n_rows - lags + 1, horizon, n_series)
            In original units; entry i follows rows i to i + lags - 1.
        """
        return np.concatenate(list(self._rolling(Y)))

    def _rolling(self, Y) -> Iterator[np.ndarray]:
        for past, _ in self._windows(Y, "Y").batches(BATCH):
            yield self._forecast(past, self.horizon_)

    def _predict(self, fh, X=None):
        steps = fh.to_relative(self.cutoff).to_numpy().astype(int)
        position = self._index.get_indexer(self.cutoff)[0] + steps
        if position.min() < 0:
            raise ValueError(
                f"fh reaches {-position.min()} row(s) before the first row of the "
                "history; forecasts begin at that row."
            )
        values = np.empty((len(steps), self.n_features_in_))
        ahead = steps > 0
        if not ahead.all():
            values[~ahead] = self._forecast(self._past(position[~ahead]), 1)[:, 0]
        if ahead.any():
            now = position - steps + 1
            path = self._forecast(self._past(now[:1]), steps.max())[0]
            values[ahead] = path[steps[ahead] - 1]
        index = fh.to_absolute_index(self.cutoff)
        return pd.DataFrame(values, index, self.feature_names_in_)

    def _past(self, positions: np.ndarray) -> Tensor:
        """Windows (B, lags, C) of what came before rows of the history.

        Before its first row the history is taken as constant, and for the first row,
        which has no past, as the mean of the series.
        """
        values = torch.from_numpy(self._history)
        padded = torch.cat([values[:1].expand(self.lags, -1), values])
        windows = padded.unfold(0, self.lags, 1).mT
        past = windows[torch.from_numpy(positions)]
        past[torch.from_numpy(positions == 0)] = 0.0
        return past

    def _forecast(self, past: Tensor, steps: int) -> np.ndarray:
        """Forecasts (B, steps, C) in original units."""
        parts = [forecast(self.network_, part, steps) for part in past.split(BATCH)]
        values = torch.cat(parts).cpu().double().numpy()
        return values * self.scaler_.scale_ + self.scaler_.mean_

    def _predict_after(self, history):
        self.check_is_fitted()
        past = self._windows(history, "the history passed to predict").values
        values = self._forecast(past[-self.lags :].unsqueeze(0), self.horizon_)[0]
        if isinstance(history, np.ndarray):
            return values
        index = continue_index(history.index, self.horizon_)
        if isinstance(history, pd.Series):
            return pd.Series(values[:, 0], index, name=history.name)
        return pd.DataFrame(values, index, self.feature_names_in_)

    def _windows(self, table, name: str) -> Windows:
        """Windows without a future over a table in original units."""
        self.check_is_fitted()
        frame = as_frame(table, name, self.feature_names_in_)
        if not isinstance(table, np.ndarray):
            check_regular(frame.index, name)
        if len(frame) < self.lags:
            raise ValueError(
                f"{name} has {len(frame)} row(s), but the forecaster sees "
                f"lags={self.lags}; pass at least {self.lags} rows."
            )
        return Windows(self._standardised(frame), self.lags, 0)

    # coefficients

    @property
    def coef_(self) -> np.ndarray:
        """VAR matrices (lags, n_series, n_series) in original units, lag 1 first.

        Rows respond and columns cause, as in statsmodels' ``coefs``; the average of
        ``var_matrices`` over the windows of the history.
        """
        return self._averages()[0]

    @property
    def intercept_(self) -> np.ndarray:
        """VAR intercept (n_series,) in original units, averaged like ``coef_``."""
        return self._averages()[1]

    def var_matrices(self, Y, *, return_intercept: bool = False):
        """VAR matrices of every window of a table, one step ahead.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units.
        return_intercept : bool
            Whether to return the intercepts as well.

        Returns
        -------
        matrices : ndarray of shape (n_rows - lags + 1, lags, n_series, n_series)
            In original units; ``matrices[i, l - 1]`` is the matrix at lag l, rows
            respond, columns cause, for the window of rows i to i + lags - 1.
        intercepts : ndarray of shape (n_rows - lags + 1, n_series)
            If asked for. The forecast is the intercept plus the matrices applied to
            the window.
        """
        windows = self._windows(Y, "Y")
        matrices, intercepts = self._var_of(torch.arange(len(windows)), windows)
        return (matrices, intercepts) if return_intercept else matrices

    def _averages(self) -> tuple[np.ndarray, np.ndarray]:
        self.check_is_fitted()
        if "averages" not in self._computed:
            windows = Windows(self._history, self.lags, 1)
            n_used = min(len(windows), self._max_windows_in_average)
            used = torch.linspace(0, len(windows) - 1, n_used).round().long()
            sums = [
                [part.sum(axis=0) for part in self._var_of(index, windows)]
                for index in used.split(BATCH)
            ]
            self._computed["averages"] = tuple(
                sum(parts) / n_used for parts in zip(*sums, strict=True)
            )
        return self._computed["averages"]

    def _var_of(self, index: Tensor, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Matrices and intercepts of some windows, in original units."""
        device = device_of(self.network_)
        parts = [self._var(windows[some][0].to(device)) for some in index.split(BATCH)]
        matrices, intercepts = (
            torch.cat(part).cpu().double().numpy() for part in zip(*parts, strict=True)
        )
        return coefficients.to_original_units(matrices, intercepts, self.scaler_)

    # persistence and scikit-learn

    def __getstate__(self):
        # A model trained on a GPU must load where there is none.
        state = self.__dict__.copy()
        if "network_" in state and device_of(state["network_"]).type != "cpu":
            state["network_"] = copy.deepcopy(state["network_"]).cpu()
        return state

    @property
    def device_(self) -> torch.device:
        """The device that holds the network."""
        self.check_is_fitted()
        return device_of(self.network_)

    def __sklearn_is_fitted__(self) -> bool:
        return self.is_fitted

    def __sklearn_tags__(self) -> Tags:
        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            input_tags=InputTags(),
        )


def _load(network: nn.Module, weights: dict) -> None:
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            "warm_start=True continues the network of the last fit, whose sizes do not "
            "fit the present parameters or data; put lags, n_layers, n_heads, d_model "
            "and the series back, or set warm_start=False."
        ) from error
