"""What follows from matrices as tables and text with the names of the series."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .process import Estimate


@dataclass(frozen=True)
class Tables:
    """Tables that say in ``attrs["label"]`` which matrices they belong to.

    Parameters
    ----------
    names : list
        Of the series.
    label : str
        Which matrices these are.
    """

    names: list
    label: str

    def labelled(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table itself, with the label."""
        table.attrs["label"] = self.label
        return table

    def square(self, values: np.ndarray) -> pd.DataFrame:
        """A table of responses and causes."""
        table = pd.DataFrame(values, self.names, self.names)
        return self.labelled(table.rename_axis("response").rename_axis("cause", axis=1))

    def by_lag(self, matrices: np.ndarray) -> pd.DataFrame:
        """Matrices as a tidy table."""
        return self._tidy(
            {"value": matrices},
            lag=range(1, len(matrices) + 1),
            response=self.names,
            cause=self.names,
        )

    def by_horizon(
        self, columns: dict[str, np.ndarray], first: int, coverage: float | None
    ) -> pd.DataFrame:
        """Values (n_horizons, n_responses, n_impulses) as columns of a tidy table.

        ``first`` is the first horizon, ``coverage`` that of bands, if there are any.
        """
        n_horizons = len(next(iter(columns.values())))
        return self._banded(
            columns,
            coverage,
            horizon=range(first, first + n_horizons),
            response=self.names,
            impulse=self.names,
        )

    def by_covariate(
        self,
        columns: dict[str, np.ndarray],
        covariates: list,
        coverage: float | None,
    ) -> pd.DataFrame:
        """Values (n_horizons, n_responses, n_covariates) as columns of a tidy table."""
        return self._banded(
            columns,
            coverage,
            horizon=range(len(columns["value"])),
            response=self.names,
            covariate=covariates,
        )

    def by_covariate_alone(
        self,
        columns: dict[str, np.ndarray],
        covariates: list,
        coverage: float | None,
    ) -> pd.DataFrame:
        """Values (n_responses, n_covariates) as columns of a tidy table."""
        return self._banded(
            columns, coverage, response=self.names, covariate=covariates
        )

    def by_cause(self, columns: dict[str, np.ndarray], coverage: float) -> pd.DataFrame:
        """Values (n_responses, n_causes) and their bands as a tidy table."""
        return self._banded(columns, coverage, response=self.names, cause=self.names)

    def by_component(self, parts: np.ndarray, times: pd.Index, baseline: str):
        """The parts (n_rows, n_series + 1, n_series) of `decomposition`."""
        table = self._tidy(
            {"value": parts},
            time=times,
            component=[*self.names, baseline],
            response=self.names,
        )
        return table[["time", "response", "component", "value"]]

    def forecast(self, values: np.ndarray, times: pd.Index) -> pd.DataFrame:
        """Rows of the series at some times."""
        return self.labelled(pd.DataFrame(values, times, self.names))

    def intervals(
        self, ends: tuple[np.ndarray, np.ndarray], coverage: float, times: pd.Index
    ) -> pd.DataFrame:
        """Lower and upper ends (n_rows, n_series), as of ``predict_interval``."""
        sides = pd.MultiIndex.from_product([self.names, [coverage], ["lower", "upper"]])
        values = np.stack(ends, axis=2).reshape(len(times), -1)
        return self.labelled(pd.DataFrame(values, times, sides))

    def summary(self, estimate: Estimate, roots: np.ndarray, stable: bool, shown: int):
        """Order, stability, the first matrices and error covariance as text."""
        matrices, intercept, sigma_u = estimate
        deviations = np.sqrt(np.diag(sigma_u))
        products = np.outer(deviations, deviations)
        correlation = np.divide(
            sigma_u, products, np.full_like(products, np.nan), where=products > 0
        )
        lines = [
            f"Vector autoregression of order {len(matrices)}, {len(self.names)} series",
            f"Matrices: {self.label or 'no label'}",
            f"Stable: {'yes' if stable else 'no'}, "
            "largest eigenvalue of the companion matrix "
            f"{1 / np.abs(roots[-1]):.3f} in modulus",
            "",
            "Intercept and standard deviation of the one-step error",
            self._text({"intercept": intercept, "error": deviations}),
        ]
        for lag, matrix in enumerate(matrices[:shown], start=1):
            lines += ["", f"Lag {lag}: rows respond, columns cause"]
            lines.append(self.square(matrix).to_string(float_format=_short))
        if len(matrices) > shown:
            lines += ["", f"({len(matrices) - shown} more lags)"]
        lines += ["", "Correlation of the one-step errors"]
        lines.append(self._text(dict(zip(self.names, correlation, strict=True))))
        return "\n".join(lines)

    def terms(self, coefficients: np.ndarray, columns: pd.Index, shown: int) -> str:
        """Coefficients (n_lags, n_series, n_columns) of the first lags as text."""
        lines = []
        for lag, values in enumerate(coefficients[:shown]):
            lines.append(f"Terms {lag} rows before: rows respond" if lag else "Terms")
            lines.append(self._text(dict(zip(columns, values.T, strict=True))))
        return "\n".join(lines)

    def _banded(
        self, columns: dict[str, np.ndarray], coverage: float | None, **levels
    ) -> pd.DataFrame:
        """A tidy table that says in ``attrs["coverage"]`` what its bands cover."""
        table = self._tidy(columns, **levels)
        if coverage is not None:
            table.attrs["coverage"] = coverage
        return table

    def _tidy(self, columns: dict[str, np.ndarray], **levels) -> pd.DataFrame:
        """Values as columns of a long table, with a column for each of their axes."""
        index = pd.MultiIndex.from_product(list(levels.values()), names=list(levels))
        columns = {name: values.ravel() for name, values in columns.items()}
        return self.labelled(pd.DataFrame(columns, index).reset_index())

    def _text(self, columns: dict[str, np.ndarray]) -> str:
        return pd.DataFrame(columns, self.names).to_string(float_format=_short)


_short = "{:.4g}".format
