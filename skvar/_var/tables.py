"""What follows from matrices as tables and text with the names of the series."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .process import Estimate
from .scenarios import Conditions


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

    def tests(self, rows: list[dict], method: str) -> pd.DataFrame:
        """Tests of the matrices, with where their covariance came from."""
        table = self.labelled(pd.DataFrame(rows))
        table.attrs["method"] = method
        return table

    def square(
        self, values: np.ndarray, columns: list | None = None, kind: str = "cause"
    ) -> pd.DataFrame:
        """A table of responses and of what moves them: causes, or shocks by name."""
        table = pd.DataFrame(
            values, self.names, self.names if columns is None else columns
        )
        return self.labelled(table.rename_axis("response").rename_axis(kind, axis=1))

    def by_lag(self, matrices: np.ndarray) -> pd.DataFrame:
        """Matrices as a tidy table."""
        return self._tidy(
            {"value": matrices},
            lag=range(1, len(matrices) + 1),
            response=self.names,
            cause=self.names,
        )

    def by_shock(
        self,
        columns: dict[str, np.ndarray],
        shocks: list,
        *,
        attrs: dict,
        **levels,
    ) -> pd.DataFrame:
        """Values (..., n_responses, n_shocks) as columns of a tidy table.

        ``levels`` name the axes before and what is along them, ``attrs`` say what else
        there is to the values, such as the coverage of bands.
        """
        table = self._tidy(columns, **levels, response=self.names, shock=shocks)
        table.attrs.update(attrs)
        return table

    def by_covariate(
        self, columns: dict[str, np.ndarray], covariates: list, attrs: dict, **levels
    ) -> pd.DataFrame:
        """Values (..., n_responses, n_covariates) as columns of a tidy table."""
        table = self._tidy(columns, **levels, response=self.names, covariate=covariates)
        table.attrs.update(attrs)
        return table

    def forecast(self, values: np.ndarray, times: pd.Index) -> pd.DataFrame:
        """Rows of the series at some times."""
        return self.labelled(pd.DataFrame(values, times, self.names))

    def intervals(
        self, ends: np.ndarray, coverages: list[float], times: pd.Index
    ) -> pd.DataFrame:
        """Ends (n_coverages * 2, n_rows, n_series), as of ``predict_interval``."""
        sides = pd.MultiIndex.from_product([self.names, coverages, ["lower", "upper"]])
        values = np.moveaxis(ends, 0, 2).reshape(len(times), -1)
        return self.labelled(pd.DataFrame(values, times, sides))

    def paths(self, values: np.ndarray, times: pd.Index) -> pd.DataFrame:
        """Draws (n_paths, n_rows, n_series) of rows, one below the other."""
        numbers = range(len(values))
        index = pd.MultiIndex.from_product([numbers, times], names=["path", "time"])
        rows = values.reshape(-1, len(self.names))
        return self.labelled(pd.DataFrame(rows, index, self.names))

    def conditions(self, asked: Conditions, times: pd.Index) -> pd.DataFrame:
        """Bounds on cells of some rows as a tidy table."""
        rows, series = np.divmod(asked.cells, len(self.names))
        names = pd.Series([self.names[i] for i in series], dtype=object)
        bounds = {"lower": asked.lower, "upper": asked.upper}
        return pd.DataFrame({"time": times[rows], "response": names, **bounds})

    def summary(
        self,
        estimate: Estimate,
        roots: np.ndarray,
        stable: bool,
        shown: int,
        facts: dict[str, str],
        spread: tuple[str, np.ndarray] | None,
    ):
        """Order, stability, the first matrices and error covariance as text.

        With facts about the estimate, and a name and values of how sure its entries
        are, as far as these are known.
        """
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
            *(f"{name}: {value}" for name, value in facts.items()),
            "",
            "Intercept and standard deviation of the one-step error",
            self._text({"intercept": intercept, "error": deviations}),
        ]
        known = "" if spread is None else f", {spread[0]} in parentheses"
        for lag, matrix in enumerate(matrices[:shown], start=1):
            lines += ["", f"Lag {lag}: rows respond, columns cause{known}"]
            errors = None if spread is None else spread[1][lag - 1]
            lines.append(self._matrix_text(matrix, errors))
        if len(matrices) > shown:
            lines += ["", f"({len(matrices) - shown} more lags)"]
        lines += ["", "Correlation of the one-step errors"]
        lines.append(self._text(dict(zip(self.names, correlation, strict=True))))
        return "\n".join(lines)

    def _matrix_text(self, matrix: np.ndarray, spread: np.ndarray | None) -> str:
        if spread is None:
            return self.square(matrix).to_string(float_format=_short)
        pairs = zip(matrix.ravel(), spread.ravel(), strict=True)
        cells = [f"{_short(value)} ({error:.2g})" for value, error in pairs]
        return self.square(np.reshape(cells, matrix.shape)).to_string()

    def terms(self, coefficients: np.ndarray, columns: pd.Index, shown: int) -> str:
        """Coefficients (n_lags, n_series, n_columns) of the first lags as text."""
        lines = []
        for lag, values in enumerate(coefficients[:shown]):
            lines.append(f"Terms {lag} rows before: rows respond" if lag else "Terms")
            lines.append(self._text(dict(zip(columns, values.T, strict=True))))
        return "\n".join(lines)

    def _tidy(self, columns: dict[str, np.ndarray], **levels) -> pd.DataFrame:
        """Values as columns of a long table, with a column for each of their axes."""
        index = pd.MultiIndex.from_product(list(levels.values()), names=list(levels))
        columns = {name: values.ravel() for name, values in columns.items()}
        return self.labelled(pd.DataFrame(columns, index).reset_index())

    def _text(self, columns: dict[str, np.ndarray]) -> str:
        return pd.DataFrame(columns, self.names).to_string(float_format=_short)


_short = "{:.4g}".format
