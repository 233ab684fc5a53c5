"""What an econometrician asks of a fitted forecaster that is a VAR."""

import numbers

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_scalar

from . import coefficients
from ._inference import like
from ._model import BATCH
from ._networks.samovar import SAMoVAR
from ._networks.static_path import StaticPath
from ._var_algebra import var_model
from ._windows import Windows
from .analysis import VARCoefficients

_PATH_COLUMNS = ["time", "series", "depth", "path", "strength", "contribution"]


class VARInspection:
    """Error covariance, analysis of the matrices and comparison with least squares."""

    @property
    def sigma_u_(self) -> np.ndarray:
        """Covariance (n_series, n_series) of the one-step errors, in original units.

        The mean product of the errors on the windows of the history, those of
        ``coef_``, without a correction for degrees of freedom (statsmodels'
        ``sigma_u_mle``).
        """
        self._check_fitted()
        if "sigma_u" not in self._computed:
            windows = Windows([self._history], self.network_.lags, 1)
            errors = self._errors(windows, self._in_average(len(windows)))
            self._computed["sigma_u"] = _covariance(errors)
            self._computed["sigma_u"].flags.writeable = False
        return self._computed["sigma_u"]

    def var_coefficients(self, Y=None, *, at=None) -> VARCoefficients:
        """The matrices with what belongs to them, for analysis.

        Where they change from window to window, an impulse response or a forecast of
        the result is that of a VAR which keeps the matrices of one time, or their
        average.

        Parameters
        ----------
        Y : Series, DataFrame or array, optional
            Table of at least ``lags`` rows in original units; the history by default.
        at : label of the time index of ``Y``, optional
            Take the matrices after this row; by default the average over all windows
            that have a next row.

        Returns
        -------
        VARCoefficients
            With ``Y`` as history, the one-step errors on it as residuals and their
            covariance (``sigma_u_`` where ``Y`` has too few rows for one). Its
            bootstraps fit this forecaster anew on each simulated table.

        Raises
        ------
        ValueError
            If ``Y`` is too short, or there is no window that ends at ``at``.
        """
        self._check_fitted()
        if Y is None:
            values = self._history * self.scaler_.scale_ + self.scaler_.mean_
            Y = pd.DataFrame(values, self._index, self.feature_names_in_)
        windows = self._windows(Y, "Y")
        history = pd.DataFrame(Y).set_axis(self.feature_names_in_, axis=1)
        lags = self.network_.lags
        with_next = Windows([windows.values.numpy()], lags, 1)
        if at is None and len(with_next):
            matrices, intercept = self._average_over(with_next)
            label = (
                f"average over {len(self._in_average(len(with_next)))} windows, "
                f"{history.index[lags - 1]} to {history.index[-2]}"
            )
        else:
            at = history.index[-1] if at is None else at
            window = _window_ending(history.index, at, lags)
            [(matrices, intercept)] = self._var_of(windows, torch.tensor([window]))
            matrices, intercept, label = (
                matrices[0],
                intercept[0],
                f"window ending {at}",
            )
        errors = self._errors(with_next, torch.arange(len(with_next)))
        enough = len(errors) > errors.shape[1]
        return VARCoefficients(
            matrices,
            intercept,
            _covariance(errors) if enough else self.sigma_u_,
            label=label,
            history=history,
            residuals=pd.DataFrame(errors, history.index[lags:]),
            scale=self.scaler_.scale_,
            refit=_Refit(self.clone()),
        )

    def compare_with_ols(self, Y) -> pd.DataFrame:
        """Compare with the VAR of the same order fitted by least squares.

        Parameters
        ----------
        Y : Series, DataFrame or array
            Table of more than ``lags`` rows in original units, for the errors.

        Returns
        -------
        DataFrame
            One row for this forecaster and one for statsmodels' VAR with intercept on
            the history. Columns: "mse" and "mae" of one-step forecasts on ``Y`` in
            standard deviations of the series, "matrix_distance" (Frobenius norm of the
            difference between the average matrices and those of least squares over the
            norm of the latter, both on standardised series), "largest_eigenvalue" of
            the companion matrix in modulus, and "stable".

        Raises
        ------
        ValueError
            If ``Y`` or the history is too short.
        """
        lags, scale = self.lags, self.scaler_.scale_
        windows = Windows([self._windows(Y, "Y").values.numpy()], self.network_.lags, 1)
        if not len(windows):
            raise ValueError(
                f"Y has no row after its first {self.network_.lags}; pass more rows."
            )
        n_rows, n_series = self._history.shape
        if n_rows - lags <= lags * n_series + 1:
            raise ValueError(
                f"The history has {n_rows} rows, too few for least squares with "
                f"lags={lags} and {n_series} series."
            )
        history = self._history * scale + self.scaler_.mean_
        ols = var_model().VAR(history).fit(lags, trend="c")
        values = windows.values.numpy() * scale + self.scaler_.mean_
        average = VARCoefficients(self.coef_, self.intercept_, self.sigma_u_)
        classical = VARCoefficients(
            ols.coefs, ols.intercept, ols.sigma_u_mle, history=pd.DataFrame(values)
        )
        errors = {
            type(self).__name__: (average, self._errors(windows)),
            f"OLS VAR({lags})": (
                classical,
                classical.residuals.to_numpy()[-len(windows) :],
            ),
        }
        reference = classical.matrices * scale / scale[:, np.newaxis]
        rows = {}
        for name, (var, error) in errors.items():
            relative = error / scale
            distance = var.matrices * scale / scale[:, np.newaxis] - reference
            rows[name] = {
                "mse": np.square(relative).mean(),
                "mae": np.abs(relative).mean(),
                "matrix_distance": np.linalg.norm(distance) / np.linalg.norm(reference),
                "largest_eigenvalue": 1 / np.abs(var.roots[-1]),
                "stable": var.is_stable(),
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    def _errors(self, windows: Windows, used: torch.Tensor | None = None) -> np.ndarray:
        """Next rows minus one-step forecasts (n_windows, C), in original units."""
        used = torch.arange(len(windows)) if used is None else used
        errors = [np.empty((0, self.n_features_in_))]
        for some in used.split(BATCH) if len(used) else ():
            past, future = windows[some]
            truth = future[:, 0].numpy() * self.scaler_.scale_ + self.scaler_.mean_
            errors.append(truth - self._forecast(past, 1)[:, 0])
        return np.concatenate(errors)


class TokenInspection:
    """The VAR inside a SAMoVAR network, on its tokens."""

    def token_var_matrices(self, Y, *, return_tokens: bool = False):
        """Matrices of the VAR that the network applies to its tokens.

        For every window of a table and every series, in closed form, from each token to
        the output at the last main token; the static path has none. Tokens come in
        pairs for each segment of the window, oldest first: a mixture of all series
        (context), then the series itself (main).

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units.
        return_tokens : bool, default=False
            Whether to return the tokens as well.

        Returns
        -------
        matrices : ndarray of shape (n_windows, n_series, n_tokens, n_heads, d, d)
            Heads do not mix; d is ``d_model / n_heads``.
        tokens : ndarray of shape (n_windows, n_series, n_tokens, n_heads, d)
            If asked for. The output of the network's VAR is the last token plus the sum
            over tokens of matrices times tokens.

        Raises
        ------
        ValueError
            If ``Y`` is too short or the forecaster has no layers.

        References
        ----------
        Lu & Yang (2025), arXiv:2502.07244, section 4.
        """
        network, windows = self._token_network(), self._windows(Y, "Y")
        parts = [
            coefficients.token_var(network, past.to(like(network)))
            for past, _ in windows.batches(BATCH)
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
            than a million paths.
        """
        check_scalar(n_strongest, "n_strongest", numbers.Integral, min_val=1)
        network, windows = self._token_network(), self._windows(Y, "Y")
        times = pd.DataFrame(Y).index[network.lags - 1 :]
        labels = np.array(_token_labels(network.tokens.n_segments), dtype=object)
        rows = []
        for time, (past, _) in zip(times, windows.batches(1), strict=True):
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
        self.forecaster = forecaster

    def __call__(self, table: np.ndarray, seed: int):
        forecaster = self.forecaster.clone().set_params(random_state=seed, verbose=0)
        forecaster.fit(table)
        return forecaster.coef_, forecaster.intercept_, forecaster.sigma_u_


def _window_ending(index: pd.Index, at, lags: int) -> int:
    try:
        row = index.get_loc(at)
    except KeyError:
        row = None
    if not isinstance(row, int) or row < lags - 1:
        raise ValueError(
            f"at={at!r} does not name one row with {lags - 1} rows before it: pass a "
            f"time between {index[lags - 1]} and {index[-1]}."
        )
    return row - lags + 1


def _token_labels(n_segments: int) -> list[str]:
    """Names of the tokens, oldest first; the last segment is number 0."""
    back = range(n_segments - 1, -1, -1)
    return [f"{kind}-{i}" for i in back for kind in ("context", "main")]


def _covariance(errors: np.ndarray) -> np.ndarray:
    return errors.T @ errors / len(errors)
