"""The rows that a vector autoregression has seen, and its errors on them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._data.tables import continue_index, regular_step
from . import estimation
from . import terms as with_terms
from .identification import Sample
from .process import Estimate
from .terms import Terms


@dataclass(frozen=True, eq=False)
class Observed:
    """An estimate and the rows that it was seen on, as of `VARCoefficients`.

    Parameters
    ----------
    names : list
    estimate : Estimate
    history : DataFrame of shape (n_rows, n_series), optional
    residuals : DataFrame of shape (n_errors, n_series), optional
    df_model : float
    n_rows : int, optional
    terms : Terms, optional
    """

    names: list
    estimate: Estimate
    history: pd.DataFrame | None
    residuals: pd.DataFrame | None
    df_model: float
    n_rows: int | None
    terms: Terms | None

    @property
    def order(self) -> int:
        """Lags of the estimate."""
        return len(self.estimate[0])

    def rows(self, least: int | None = None) -> pd.DataFrame:
        """The history, of more rows than the lags or of at least so many.

        Raises
        ------
        ValueError
            If there is none, or it is shorter.
        """
        least = self.order + 1 if least is None else least
        if self.history is None:
            raise ValueError(
                "There is no history: pass history=... to VARCoefficients."
            )
        if len(self.history) < least:
            raise ValueError(
                f"The history has {len(self.history)} row(s), too few for order "
                f"{self.order}: pass at least {least}."
            )
        return self.history

    @property
    def start(self) -> np.ndarray:
        """The first rows (order, n_series)."""
        return self.rows()[: self.order].to_numpy()

    @property
    def recent(self) -> np.ndarray:
        """The last rows (order, n_series)."""
        return self.rows(self.order).to_numpy()[-self.order :]

    def ahead(self, steps: int) -> pd.Index:
        """Times of the next rows."""
        index = self.history.index
        return continue_index(index, regular_step(index, "history"), steps)

    @property
    def sample(self) -> Sample:
        """What an identification may need of these."""
        has_errors = self.residuals is not None or self.history is not None
        return Sample(self.names, (lambda: self.errors) if has_errors else None)

    @property
    def errors(self) -> pd.DataFrame:
        """Errors that are given, else those of the matrices on the history."""
        if self.residuals is not None:
            return self.residuals
        errors = self.own_errors
        return pd.DataFrame(errors, self.history.index[self.order :], self.names)

    @property
    def own_errors(self) -> np.ndarray:
        """Errors (n_rows - order, n_series) of the matrices on the history."""
        matrices, intercept, _ = self.estimate
        errors = estimation.one_step_errors(self.rows().to_numpy(), matrices, intercept)
        return errors if self.terms is None else errors - self.inflow

    @property
    def unshrunk_errors(self) -> np.ndarray:
        """Errors of the size that they had without ``df_model`` coefficients."""
        errors = self.errors.to_numpy()
        n_free = estimation.degrees_of_freedom(len(errors), self.df_model)
        return errors * np.sqrt(len(errors) / n_free)

    @property
    def inflow(self) -> np.ndarray | None:
        """What terms bring to the rows (n_rows - order, n_series) after the start."""
        if self.terms is None:
            return None
        rows = self.terms.on_rows(len(self.rows()), self.order)
        return with_terms.inflow(self.terms.coefficients, rows)

    @property
    def estimate_on_rows(self) -> Estimate:
        """The estimate, with all that flows into a row of the history as intercept."""
        if self.terms is None:
            return self.estimate
        matrices, intercept, sigma_u = self.estimate
        return matrices, intercept + self.inflow, sigma_u

    @property
    def n_simulated(self) -> int:
        """Rows of a bootstrap; with terms those of the history, which have theirs."""
        if self.terms is not None:
            return len(self.history)
        return self.n_rows or len(self.history)
