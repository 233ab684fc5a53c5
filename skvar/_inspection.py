"""What an econometrician asks of a fitted forecaster that is a VAR."""

import numbers

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_scalar

from ._data.windows import Windows
from ._model import BATCH
from ._networks.samovar import SAMoVAR
from ._networks.static_path import StaticPath
from ._training.inference import like
from ._var import extraction as coefficients
from ._var.process import covariance, least_squares, one_step_errors
from ._var.results import VARCoefficients

_PATH_COLUMNS = ["time", "series", "depth", "path", "strength", "contribution"]


class VARInspection:
    """Error covariance, analysis of the matrices and comparison with least squares."""

    @property
    def sigma_u_(self) -> np.ndarray:
        """Covariance (n_series, n_series) of the one-step errors, in original units.

        The sum of products over the windows of the history, divided by their number
        less the coefficients of a static VAR in the model (statsmodels' ``sigma_u``).
        """
        covariance_ = covariance(self._history_errors(), self._df_model)
        covariance_.flags.writeable = False
        return covariance_

    def var_coefficients(self, Y=None, *, at=None) -> VARCoefficients:
        """The matrices with what belongs to them, for analysis.

        Where they change from window to window, an impulse response or a forecast of
        the result is that of a VAR which keeps the matrices of one time, or their
        average.

        Parameters
        ----------
        Y : Series, DataFrame or array, optional
            Table of at least one window of rows in original units; the history by
            default.
        at : label of the time index of ``Y``, optional
            Take the matrices after this row; by default the average over all windows
            that have a next row, or the only window where none has.

        Returns
        -------
        VARCoefficients
            With the one-step errors on the history or on ``Y`` as residuals and
            ``sigma_u_`` or their covariance (``sigma_u_`` as well where ``Y`` has too
            few rows for one). Its bootstraps simulate as many rows as the history has
            and fit a forecaster of the same parameters to each table.

        Raises
        ------
        ValueError
            If ``Y`` is too short, or there is no one window that ends at ``at``.
        """
        windows = self._history_windows() if Y is None else self._windows(Y, "Y")
        index = self._index if Y is None else getattr(Y, "index", None)
        history = pd.DataFrame(
            self._in_units(windows.values), index, self.feature_names_in_
        )
        if isinstance(history.index, pd.DatetimeIndex):
            history.index = pd.DatetimeIndex(history.index, freq=self._step)
        matrices, intercept, label = self._matrices_of(windows, history.index, at)
        errors = self._history_errors() if Y is None else self._errors(windows)
        foreign = Y is not None
        enough = len(errors) > errors.shape[1]
        after = history.index[self.network_.lags :]
        residuals = pd.DataFrame(errors, after).dropna()
        return VARCoefficients(
            matrices,
            intercept,
            covariance(errors, 0) if foreign and enough else self.sigma_u_,
            label=label,
            history=history,
            residuals=residuals if len(residuals) else None,
            df_model=0 if foreign else self._df_model,
            n_rows=len(self._index),
            scale=self.scaler_.scale_,
            refit=_Refit(self),
            alpha=self.alpha_ or 0.0,
        )

    def compare_with_ols(self, Y=None) -> pd.DataFrame:
        """Compare with the VAR of the same order fitted by least squares.

        Parameters
        ----------
        Y : Series, DataFrame or array, optional
            Table with rows after its first window, in original units, for the errors;
            the history by default.

        Returns
        -------
        DataFrame
            One row for this forecaster and one for the VAR with intercept fitted by
            ordinary least squares on the history. Columns: "mse" and "mae" of one-step
            forecasts of ``Y``, with the standard deviations of the series as units,
            "matrix_distance" (Frobenius norm of the difference between the average
            matrices and those of least squares over the norm of the latter, on
            standardised series), "largest_eigenvalue" of the companion matrix in
            modulus, and "stable".

        Raises
        ------
        ValueError
            If ``Y`` is too short, or least squares on the history has no unique
            solution.
        """
        windows = self._history_windows() if Y is None else self._windows(Y, "Y")
        n_before = self.network_.lags
        if len(windows) < 2:
            raise ValueError(
                f"Y has no row after its first {n_before}; pass more rows."
            )
        history = self._in_units(self._history_windows().values)
        ols = least_squares(history, 0, order=self.lags)
        errors = self._errors(windows)
        rows = self._in_units(windows.values[n_before - self.lags :])
        of_ols = one_step_errors(rows, *ols[:2])
        of_ols[np.isnan(errors)] = np.nan
        models = {
            type(self).__name__: (self.coef_, errors),
            f"OLS VAR({self.lags})": (ols[0], of_ols),
        }
        scale = self.scaler_.scale_
        relative = scale / scale[:, np.newaxis]
        return pd.DataFrame.from_dict(
            {
                name: _comparison(
                    matrices * relative, ols[0] * relative, errors / scale
                )
                for name, (matrices, errors) in models.items()
            },
            orient="index",
        )

    @property
    def _df_model(self) -> int:
        """Coefficients for each series that least squares fits within the model."""
        return 0

    def _matrices_of(self, windows: Windows, index: pd.Index, at):
        """Matrices, intercept and label of one window or of the average."""
        n_before = windows.lags
        if at is None and len(windows) > 1:
            followed = Windows([windows.values.numpy()], n_before, 1)
            n_used = len(self._in_average(len(followed)))
            label = (
                f"average over {n_used} windows, {index[n_before - 1]} to {index[-2]}"
            )
            return *self._average_over(followed), label
        row = len(index) - 1 if at is None else _row_at(index, at, n_before)
        window = torch.tensor([row - n_before + 1])
        [(matrices, intercept)] = self._var_of(windows, window)
        return matrices[0], intercept[0], f"window ending {index[row]}"

    def _history_errors(self) -> np.ndarray:
        self._check_fitted()
        if "errors" not in self._computed:
            windows = self._history_windows()
            self._computed["errors"] = self._errors(windows)
        return self._computed["errors"]

    def _errors(self, windows: Windows) -> np.ndarray:
        """Rows after windows minus one-step forecasts, in original units.

        NaN where a row was not observed.
        """
        values = windows.values.numpy()
        ends = np.arange(windows.lags - 1, len(values))
        forecasts = np.concatenate(list(self._forecasts(values, ends, 1)))[:-1, 0]
        errors = self._in_units(windows.values[windows.lags :]) - forecasts
        if windows.observed is not None:
            errors[~windows.observed[windows.lags :].numpy()] = np.nan
        return errors


class TokenInspection:
    """The VAR inside a SAMoVAR network, on its tokens."""

    def token_var_matrices(self, Y, *, segment: int = -1, return_tokens: bool = False):
        """Matrices of the VAR that the network applies to its tokens.

        For every window of a table and every series, in closed form, from each token to
        the output at the main token of a segment; the static path has none. Tokens come
        in pairs for each segment of the window, oldest first: a mixture of all series
        (context), then the series itself (main).

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units.
        segment : int, default=-1
            Of the window, oldest first; the last one makes the forecast.
        return_tokens : bool, default=False
            Whether to return the tokens as well.

        Returns
        -------
        matrices : ndarray of shape (n_windows, n_series, n_tokens, n_heads, d, d)
            From the tokens up to that one. Heads do not mix; d is
            ``d_model / n_heads``.
        tokens : ndarray of shape (n_windows, n_series, n_tokens, n_heads, d)
            If asked for. The output of the network's VAR is the last token plus the sum
            over tokens of matrices times tokens.

        Raises
        ------
        ValueError
            If ``Y`` is too short, the forecaster has no layers, or there is no such
            segment.

        References
        ----------
        Lu & Yang (2025), arXiv:2502.07244, section 4.
        """
        network, windows = self._token_network(), self._windows(Y, "Y")
        n_segments = network.tokens.n_segments
        check_scalar(
            segment,
            "segment",
            numbers.Integral,
            min_val=-n_segments,
            max_val=n_segments - 1,
        )
        parts = [
            coefficients.token_var(network, past.to(like(network)), segment)
            for past, *_ in windows.batches(BATCH)
        ]
        matrices, tokens = (
            torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True)
        )
        return (matrices, tokens) if return_tokens else matrices

    def influence_paths(self, Y, *, n_strongest: int = 10) -> pd.DataFrame:
        """Split the matrices between tokens by the way that influence takes.

        A path leads from a token through one token for every further layer to the last
        main token; the matrices of all paths from a token sum to its entry in
        ``token_var_matrices``.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units.
        n_strongest : int, default=10
            Paths to return for every window and series.

        Returns
        -------
        DataFrame
            Columns "time" (last row of the window), "series", "depth" (layers passed),
            "path" (the tokens on the way: "main-2" is the series' segment two before
            the last one, "context-0" the mixture of all series in the last one),
            "strength" (Frobenius norm of the path's matrix) and "contribution" (norm
            of what it adds to the output), in units of the tokens, strongest first.

        Raises
        ------
        ValueError
            If ``Y`` is too short, the forecaster has no layers, or a window has more
            than a hundred thousand paths of one depth.
        """
        check_scalar(n_strongest, "n_strongest", numbers.Integral, min_val=1)
        network, windows = self._token_network(), self._windows(Y, "Y")
        times = pd.DataFrame(Y).index[network.lags - 1 :]
        labels = np.array(_token_labels(network.tokens.n_segments), dtype=object)
        rows = []
        for time, (past, *_) in zip(times, windows.batches(1), strict=True):
            paths, *sizes = coefficients.path_sizes(network, past.to(like(network)))
            for name, strength, contribution in zip(
                self.feature_names_in_, *sizes, strict=True
            ):
                for i in np.argsort(-strength, kind="stable")[:n_strongest]:
                    path = tuple(labels[list(paths[i])])
                    size = strength[i], contribution[i]
                    rows.append((time, name, len(path), path, *size))
        return pd.DataFrame(rows, columns=_PATH_COLUMNS)

    def _token_network(self) -> SAMoVAR:
        self._check_fitted()
        network = self.network_
        if isinstance(network, StaticPath):
            network = network.network
        if network is None:
            raise ValueError(
                "n_layers=0 leaves no tokens, only the static path; fit with n_layers "
                "of at least 1, or use var_matrices."
            )
        return network


class _Refit:
    """Estimate of a forecaster of the same parameters on another table."""

    def __init__(self, forecaster):
        self.forecaster = forecaster.clone().set_params(
            horizon=forecaster.horizon_,
            verbose=0,
            past_covariates=None,
            calendar=None,
        )
        # Simulated are all series, past covariates as well, less effects of others.
        if hasattr(self.forecaster, "pretrained_covariates_"):
            del self.forecaster.pretrained_covariates_

    def __call__(self, table: np.ndarray, seed: int):
        forecaster = self.forecaster.clone().set_params(random_state=seed).fit(table)
        return forecaster.coef_, forecaster.intercept_, forecaster.sigma_u_


def _comparison(
    matrices: np.ndarray, reference: np.ndarray, errors: np.ndarray
) -> dict:
    """One row of `compare_with_ols`, all on standardised series."""
    n_series = errors.shape[1]
    var = VARCoefficients(matrices, np.zeros(n_series), np.eye(n_series))
    return {
        "mse": np.nanmean(np.square(errors)),
        "mae": np.nanmean(np.abs(errors)),
        "matrix_distance": np.linalg.norm(matrices - reference)
        / np.linalg.norm(reference),
        "largest_eigenvalue": 1 / np.abs(var.roots[-1]),
        "stable": var.is_stable(),
    }


def _row_at(index: pd.Index, at, n_before: int) -> int:
    """Number of the row with a label, which must end a window."""
    try:
        row = index.get_loc(at)
    except (KeyError, TypeError, ValueError, pd.errors.InvalidIndexError):
        row = None
    if isinstance(row, slice) and row.stop - row.start == 1:
        row = row.start
    if not isinstance(row, int) or row < n_before - 1:
        raise ValueError(
            f"at={at!r} does not name one row with {n_before - 1} rows before it: pass "
            f"one time of the index, from {index[n_before - 1]} to {index[-1]}."
        )
    return row


def _token_labels(n_segments: int) -> list[str]:
    """Names of the tokens, oldest first; the last segment is number 0."""
    back = range(n_segments - 1, -1, -1)
    return [f"{kind}-{i}" for i in back for kind in ("context", "main")]
