"""Units of columns: means and standard deviations."""

import copy

import numpy as np
from sklearn.preprocessing import StandardScaler

# Deviations from a constant, as a part of the values, that are taken for rounding
# errors: 64 times the precision of a float.
_ROUNDING = 64 * np.finfo(float).eps


def units_of(values: np.ndarray, size: np.ndarray | float = 0.0) -> StandardScaler:
    """Means and standard deviations of columns, less what is missing.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
    size : ndarray of shape (n_columns,), optional
        How large values of the columns are in other tables, as of `size_of`.

    Returns
    -------
    StandardScaler
        A column that varies by no more than rounding errors of its values, or of those
        of other tables, is constant: its variance is 0, its scale 1.
    """
    scaler = StandardScaler().fit(np.asarray(values, dtype=float))
    deviation = np.sqrt(scaler.var_)
    constant = deviation <= _ROUNDING * np.maximum(size, size_of(scaler))
    # A mean of equal numbers may differ from them by rounding.
    scaler.mean_[constant] = np.nanmedian(values[:, constant], axis=0)
    scaler.var_ = np.where(constant, 0.0, scaler.var_)
    scaler.scale_ = np.where(constant, 1.0, deviation)
    return scaler


def size_of(scaler: StandardScaler) -> np.ndarray:
    """How large the values of each column are."""
    return np.abs(scaler.mean_) + np.sqrt(scaler.var_)


def varying_in(scaler: StandardScaler, other: StandardScaler) -> StandardScaler:
    """Units of the columns that vary in them, others as in other units."""
    merged, varies = copy.deepcopy(scaler), scaler.var_ > 0
    for name in ("mean_", "var_", "scale_"):
        found = np.where(varies, getattr(scaler, name), getattr(other, name))
        setattr(merged, name, found)
    return merged


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
