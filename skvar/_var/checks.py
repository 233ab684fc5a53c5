"""Checks of what `VARCoefficients` is given."""

import numbers
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from .._data.tables import as_frame
from .._data.units import nonzero
from .._typing import Names


def checked_matrices(matrices: ArrayLike) -> np.ndarray:
    """Matrices (order, n_series, n_series) as a read-only array."""
    matrices = np.array(matrices, dtype=float)
    shape = matrices.shape
    if len(shape) != 3 or shape[1] != shape[2] or 0 in shape:
        raise ValueError(
            f"matrices has shape {shape}; pass (order, n_series, n_series)."
        )
    if not np.isfinite(matrices).all():
        raise ValueError("matrices holds NaN or inf.")
    # Roots are computed once: the matrices must stay.
    matrices.flags.writeable = False
    return matrices


def checked_covariance(sigma_u: ArrayLike, n_series: int) -> np.ndarray:
    """A symmetric array (n_series, n_series)."""
    sigma_u = of_shape(sigma_u, "sigma_u", n_series, n_series)
    largest = np.abs(sigma_u).max()
    if not np.allclose(sigma_u, sigma_u.T, rtol=0, atol=1e-8 * largest):
        raise ValueError("sigma_u is not symmetric; pass a covariance matrix.")
    return sigma_u


def of_shape(values: ArrayLike, name: str, *shape: int) -> np.ndarray:
    """A finite array of a shape."""
    values = np.array(values, dtype=float)
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}; pass {shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or inf.")
    return values


def named(
    names: Names | None, history: pd.DataFrame | None, n_series: int
) -> tuple[list, pd.DataFrame | None]:
    """Names of the series and the history under these, both checked."""
    if history is not None:
        history = as_frame(history, "history")
        unnamed = isinstance(history.columns, pd.RangeIndex)
        if names is None and not unnamed:
            names = history.columns
    names = [f"y{i}" for i in range(n_series)] if names is None else list(names)
    if len(names) != n_series or len(set(names)) < n_series:
        raise ValueError(f"names are {names}; pass {n_series} different ones.")
    if history is None:
        return names, None
    if history.shape[1] != n_series or not (unnamed or list(history) == names):
        raise ValueError(
            f"history has columns {list(history)}, but the series are {names}; select "
            "these, in this order."
        )
    return names, history.set_axis(names, axis=1)


def residual_table(
    residuals: pd.DataFrame | np.ndarray | None,
    names: list,
    history: pd.DataFrame | None,
) -> pd.DataFrame | None:
    """Residuals under the names of the series, if there are any.

    Those of an array are of the last rows of the history.
    """
    if residuals is None:
        return None
    has_times = isinstance(residuals, pd.DataFrame | pd.Series)
    table = as_frame(residuals, "residuals")
    if table.shape[1] != len(names):
        raise ValueError(
            f"residuals has {table.shape[1]} columns for {len(names)} series."
        )
    if not has_times and history is not None and len(table) <= len(history):
        table.index = history.index[len(history) - len(table) :]
    return table.set_axis(names, axis=1)


def typical_moves(
    scale: ArrayLike | None, history: pd.DataFrame | None, sigma_u: np.ndarray
) -> np.ndarray:
    """Scale of every series: given, of the history, or of the errors."""
    if scale is None and history is None:
        scale = np.sqrt(np.diag(sigma_u))
    elif scale is None:
        scale = nonzero(history.std(ddof=0))
    return of_shape(scale, "scale", len(sigma_u))


def check_share(name: str, value: float) -> None:
    """Refuse what is no number in (0, 1)."""
    check_scalar(value, name, numbers.Real)
    if not 0 < value < 1:
        raise ValueError(f"{name}={value} is not in the range (0, 1).")


def checked_coverages(coverage: float | Sequence[float]) -> list[float]:
    """One coverage or several as a list, each in (0, 1)."""
    coverages = list(coverage) if isinstance(coverage, Iterable) else [coverage]
    for one in coverages:
        check_share("coverage", one)
    if not coverages or len(set(coverages)) < len(coverages):
        raise ValueError(f"coverage={coverage}; pass one or several different numbers.")
    return coverages


def check_free(names: list, *reserved: str, kind: str = "series") -> None:
    """Refuse names that a table uses itself."""
    for name in reserved:
        if name in names:
            raise ValueError(
                f'A {kind} is called "{name}", which the table calls something else; '
                "rename it."
            )


def groups_of(
    names: list, wanted: Hashable | Sequence[Hashable], argument: str
) -> list[list[int]]:
    """Numbers of the series of one group, or of each series as a group of its own."""
    if wanted is None:
        return [[i] for i in range(len(names))]
    members = [wanted] if wanted in names else wanted
    if isinstance(members, str) or not isinstance(members, Iterable):
        members = [members]
    members = list(members)
    unknown = [name for name in members if name not in names]
    if unknown or not members or len(set(members)) < len(members):
        raise ValueError(
            f"{argument}={wanted!r} does not name different series of {names}."
        )
    return [[names.index(name) for name in members]]


def pairs_of_groups(
    names: list,
    caused: Hashable | Sequence[Hashable],
    causing: Hashable | Sequence[Hashable],
) -> list[tuple[list[int], list[int]]]:
    """Responses and causes to test together, none of them both at a time."""
    pairs = [
        (responses, causes)
        for responses in groups_of(names, caused, "caused")
        for causes in groups_of(names, causing, "causing")
        if not set(responses) & set(causes)
    ]
    if not pairs:
        raise ValueError(
            f"caused={caused!r} and causing={causing!r} leave no pair of different "
            f"series of {names}; name responses and causes apart."
        )
    return pairs


def joined(names: list, members: Sequence[int]) -> Hashable:
    """The name of a series, or those of several in one."""
    if len(members) == 1:
        return names[members[0]]
    return ", ".join(str(names[i]) for i in members)
