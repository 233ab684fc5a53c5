"""How much of the forecast errors of series comes from the errors of others."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._data.units import nonzero
from .identification import generalized
from .process import Estimate, variance_shares


def pairwise_shares(estimate: Estimate, steps: int) -> np.ndarray:
    """Generalized shares (..., n_responses, n_shocks) of error variances, of sum one.

    Of forecasts so many steps ahead; zero where a series has no errors.
    """
    shares = variance_shares(estimate, generalized(estimate[2]), periods=steps)
    last = np.nan_to_num(shares[..., -1, :, :])
    total = last.sum(axis=-1, keepdims=True)
    return last / nonzero(total)


@dataclass(frozen=True, eq=False)
class Connectedness:
    """Shares of forecast error variances that come from other series.

    By generalized shares, each row divided by its sum [1]_: no order of the series is
    needed.

    Parameters
    ----------
    pairwise : DataFrame of shape (n_series, n_series)
        Share of the error variance of the row's series that comes with errors of the
        column's series. Rows sum to one.

    References
    ----------
    .. [1] Diebold, F. and Yilmaz, K. (2014). On the network topology of variance
       decompositions: measuring the connectedness of financial firms. Journal of
       Econometrics 182, 119-134.
    """

    pairwise: pd.DataFrame

    @property
    def from_others(self) -> pd.Series:
        """The share of each series that comes from others."""
        return self._others.sum(axis=1)

    @property
    def to_others(self) -> pd.Series:
        """The sum of shares of others that come from each series."""
        return self._others.sum(axis=0)

    @property
    def net(self) -> pd.Series:
        """What each series gives to others less what it takes from them."""
        return self.to_others - self.from_others

    @property
    def total(self) -> float:
        """The mean share that comes from others."""
        return float(self.from_others.mean())

    @property
    def net_pairwise(self) -> pd.DataFrame:
        """What the row's series gives to the column's series less what it takes."""
        links = self.pairwise.to_numpy()
        return pd.DataFrame(links.T - links, self.pairwise.index, self.pairwise.columns)

    def to_frame(self) -> pd.DataFrame:
        """Tidy table of the pairwise shares.

        Returns
        -------
        DataFrame
            Columns "response", "shock" and "share".
        """
        table = self.pairwise.stack().rename("share").reset_index()
        table.attrs = dict(self.pairwise.attrs)
        return table

    @property
    def _others(self) -> pd.DataFrame:
        """Shares without those of a series itself, both axes by plain names."""
        own = np.eye(len(self.pairwise), dtype=bool)
        return self.pairwise.mask(own, 0.0).rename_axis(None).rename_axis(None, axis=1)
