"""Units of columns: means and standard deviations."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import StandardScaler

# Deviations from a constant, as a part of the values, that are taken for rounding
# errors: 64 times the precision of a float.
_ROUNDING = 64 * np.finfo(float).eps

# Numbers that are summed at once: sums take copies of them.
_AT_ONCE = 2**16


@dataclass(frozen=True)
class Likely:
    """What units of some tables tell about those of further ones, by column.

    Parameters
    ----------
    size : ndarray of shape (n_columns,)
        How large values are at most, about.
    scale : ndarray of shape (n_columns,)
        The median of the standard deviations, NaN where nothing varies.
    """

    size: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, scalers: Iterable[StandardScaler]) -> "Likely":
        """From units of tables with the same columns."""
        scalers = [*scalers]
        scales = np.array([deviations(scaler) for scaler in scalers])
        known = [column[column > 0] for column in scales.T]
        scale = [np.median(some) if len(some) else np.nan for some in known]
        return cls(np.fmax.reduce([*map(_size_of, scalers)]), np.array(scale))


def units_of(values: np.ndarray, likely: Likely | None = None) -> StandardScaler:
    """Means and standard deviations of columns, less what is missing.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
    likely : Likely, optional
        What other tables tell.

    Returns
    -------
    StandardScaler
        A column that varies by no more than rounding errors of its values, or of those
        of other tables, is constant: its variance is 0, its scale 1. One with a single
        value, which does not tell, varies as that of other tables does as a rule.
    """
    values = np.asarray(values, dtype=float)
    scaler = _scaler_of(values)
    deviation, size = np.sqrt(scaler.var_), _size_of(scaler)
    if likely is not None:
        size = np.fmax(size, likely.size)
        is_single = np.isfinite(values).sum(axis=0) == 1
        deviation = np.where(is_single & (likely.scale > 0), likely.scale, deviation)
    constant = deviation <= _ROUNDING * size
    # A mean of equal numbers may differ from them by rounding.
    scaler.mean_[constant] = np.nanmedian(values[:, constant], axis=0)
    return _with_deviations(scaler, deviation, constant)


def scaler_of(
    n_rows: int, mean: np.ndarray, variance: np.ndarray, row: np.ndarray
) -> StandardScaler:
    """As of `units_of`, from the moments of a table without gaps and a row of it."""
    scaler = StandardScaler()
    scaler.n_features_in_, scaler.n_samples_seen_ = len(mean), n_rows
    scaler.mean_, scaler.var_ = mean.copy(), variance
    deviation = np.sqrt(variance)
    constant = deviation <= _ROUNDING * _size_of(scaler)
    scaler.mean_[constant] = row[constant]
    return _with_deviations(scaler, deviation, constant)


def _with_deviations(
    scaler: StandardScaler, deviation: np.ndarray, constant: np.ndarray
) -> StandardScaler:
    scaler.var_ = np.where(constant, 0.0, deviation**2)
    scaler.scale_ = np.where(constant, 1.0, deviation)
    return scaler


def _scaler_of(values: np.ndarray) -> StandardScaler:
    """What `StandardScaler.fit` finds, without its copies of a whole table.

    Its ``partial_fit`` knows no column that is missing in the first part.
    """
    n_known = _sums(values, lambda rows: ~np.isnan(rows))
    mean = _sums(values, lambda rows: rows) / n_known
    # The mean of the deviations is nothing but rounding errors.
    rounding = _sums(values, lambda rows: rows - mean)
    squares = _sums(values, lambda rows: np.square(rows - mean))
    scaler = StandardScaler()
    scaler.n_features_in_ = values.shape[1]
    scaler.n_samples_seen_ = n_known if np.ptp(n_known) else n_known[0]
    scaler.mean_ = mean
    scaler.var_ = (squares - rounding**2 / n_known) / n_known
    return scaler


def _sums(
    values: np.ndarray, terms_of: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Sums over the rows, less what is missing, of terms (n_rows, n_columns) of them.

    Terms are added in the order of rows, whatever their order in memory: other orders
    would differ by rounding.
    """
    n_rows, n_columns = values.shape
    # numpy adds the rows of a single column in pairs of pairs: not in parts.
    n_at_once = n_rows if n_columns == 1 else max(1, _AT_ONCE // n_columns)
    total = np.empty((0, n_columns))
    for first in range(0, n_rows, n_at_once):
        rows = np.ascontiguousarray(values[first : first + n_at_once])
        terms = np.concatenate([total, terms_of(rows)])
        total = np.nansum(terms, axis=0, keepdims=True)
    return total[0]


def _size_of(scaler: StandardScaler) -> np.ndarray:
    return np.abs(scaler.mean_) + np.sqrt(scaler.var_)


def varying_in(scaler: StandardScaler, other: StandardScaler) -> StandardScaler:
    """Units of the columns that vary in them, others as in other units."""
    merged, varies = copy.deepcopy(scaler), scaler.var_ > 0
    for name in ("mean_", "var_", "scale_"):
        found = np.where(varies, getattr(scaler, name), getattr(other, name))
        setattr(merged, name, found)
    return merged


def with_moved(scaler: StandardScaler, values: np.ndarray) -> StandardScaler:
    """Units in which constants that move in further rows have a scale.

    Their means stay, so that rows that were standardised before stay as they are.
    """
    spread = np.sqrt(np.square(values - scaler.mean_).mean(axis=0))
    moved = (scaler.var_ == 0) & (spread > _ROUNDING * _size_of(scaler))
    found = copy.deepcopy(scaler)
    found.var_ = np.where(moved, spread**2, scaler.var_)
    found.scale_ = np.where(moved, spread, scaler.scale_)
    return found


def nonzero(scale: np.ndarray) -> np.ndarray:
    """What to divide by: the scale of each column, 1 where it does not vary."""
    return np.where(scale > 0, scale, 1.0)


def standardise(values: np.ndarray, scaler: StandardScaler) -> np.ndarray:
    """Rows in units, as a new array; 0 in columns whose variance is 0 there."""
    values = np.subtract(values, scaler.mean_, dtype=float, order="C")
    values /= divisors(scaler)
    return values


def divisors(scaler: StandardScaler) -> np.ndarray:
    """What standardises deviations from the means: standard deviations, else inf."""
    return np.where(scaler.var_ > 0, scaler.scale_, np.inf)


def deviations(scaler: StandardScaler) -> np.ndarray:
    """Standard deviations of columns, 0 of constant ones."""
    return np.where(scaler.var_ > 0, scaler.scale_, 0.0)


def in_original_units(values: np.ndarray, scaler: StandardScaler) -> np.ndarray:
    """Standardised rows in original units; constants where nothing varied."""
    return values * deviations(scaler) + scaler.mean_
