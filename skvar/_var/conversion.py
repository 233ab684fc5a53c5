"""Fitted models of statsmodels as what `VARCoefficients` is made of."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .estimation import statsmodels
from .process import Estimate


def arguments_of(results) -> dict:
    """Arguments of `VARCoefficients` from results of a VAR, an SVAR or a VECM.

    Raises
    ------
    TypeError
        If these are no such results.
    ValueError
        If the model has terms beside matrices and a constant.
    """
    results = getattr(results, "_results", results)
    if isinstance(results, statsmodels("tsa.vector_ar.var_model").VARResults):
        return _of_var(results)
    if isinstance(results, statsmodels("tsa.vector_ar.vecm").VECMResults):
        return _of_vecm(results)
    raise TypeError(
        "results must be those of VAR, SVAR or VECM of statsmodels, as their fit "
        f"returns them, not {type(results).__name__}."
    )


@dataclass(frozen=True)
class RefitVAR:
    """Least squares without a constant on another table, for bootstraps."""

    order: int

    def __call__(self, table: np.ndarray, seed: int) -> Estimate:
        var_model = statsmodels("tsa.vector_ar.var_model")
        found = var_model.VAR(table).fit(self.order, trend="n")
        return found.coefs, found.intercept, found.sigma_u


@dataclass(frozen=True)
class RefitVECM:
    """The same error-correction model on another table, for bootstraps."""

    order: int
    rank: int
    deterministic: str

    def __call__(self, table: np.ndarray, seed: int) -> Estimate:
        model = statsmodels("tsa.vector_ar.vecm").VECM(
            table,
            k_ar_diff=self.order - 1,
            coint_rank=self.rank,
            deterministic=self.deterministic,
        )
        return _in_levels(model.fit())


def _of_var(results) -> dict:
    if results.k_ar == 0:
        raise ValueError("results are of a VAR without lags; fit at least one.")
    if results.k_trend > 1:
        raise _not_carried("trends", "of the table less its trend, with trend='c'")
    if results.k_exog_user:
        raise _not_carried("exogenous terms", "of the table less their effects")
    return {
        "matrices": results.coefs,
        "intercept": results.intercept,
        "sigma_u": np.asarray(results.sigma_u),
        "df_model": results.df_model,
        "refit": None if results.k_trend else RefitVAR(results.k_ar),
        **_rows_of(results),
    }


def _of_vecm(results) -> dict:
    if results.seasons:
        raise _not_carried("seasonal terms", "of the table less its seasonal means")
    if results.exog is not None or results.exog_coint is not None:
        raise _not_carried("exogenous terms", "of the table less their effects")
    if "l" in results.deterministic:
        raise _not_carried("trends", "with deterministic='co' or 'ci'")
    matrices, intercept, sigma_u = _in_levels(results)
    coefficients = results.gamma.shape[1] + results.coint_rank + results.const.shape[1]
    return {
        "matrices": matrices,
        "intercept": intercept,
        "sigma_u": sigma_u,
        "df_model": coefficients,
        "refit": RefitVECM(results.k_ar, results.coint_rank, results.deterministic),
        **_rows_of(results),
    }


def _in_levels(results) -> Estimate:
    """Matrices, constant, inside of the cointegration or outside, and covariance."""
    inside = results.alpha @ results.const_coint.T
    constant = inside[:, 0] + results.const.sum(axis=1)
    return results.var_rep, constant, results.sigma_u


def _rows_of(results) -> dict:
    """History and residuals under the names and times of the table."""
    data, names = results.model.data, results.names
    history = pd.DataFrame(
        np.asarray(data.orig_endog, dtype=float), data.row_labels, names
    )
    residuals = pd.DataFrame(
        np.asarray(results.resid), history.index[results.k_ar :], names
    )
    return {"names": names, "history": history, "residuals": residuals}


def _not_carried(terms: str, remedy: str) -> ValueError:
    return ValueError(
        f"results have {terms}, which VARCoefficients does not hold; fit the model "
        f"{remedy}."
    )
