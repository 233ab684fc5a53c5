"""What rows say about a closed form with penalties."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What the rows say about a vector autoregression and its penalties.

    Parameters
    ----------
    penalties : dict of float
        By kind of coefficient, in squared units of the series as the estimate scales
        them.
    log_evidence : float
        Logarithm of the marginal likelihood, up to what is common to all penalties;
        NaN without a penalty, where there is none.
    n_rows : int
        Rows regressed.
    n_coefficients : float
        Coefficients of an equation, with the intercept, each counted by the part of it
        that the rows determine.
    """

    penalties: dict[str, float]
    log_evidence: float
    n_rows: int
    n_coefficients: float
