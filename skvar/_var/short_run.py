"""Short-run restrictions on the shocks of a vector autoregression, by likelihood.

Amisano and Giannini (1997), Topics in Structural VAR Econometrics: the AB model.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from .process import cholesky

# Of the scoring algorithm, and the least eigenvalue of information that tells.
_STEPS, _HALVINGS, _CONVERGED, _STARTS = 200, 30, 1e-13, 10
_SINGULAR = 1e-7


@dataclass(frozen=True, eq=False)
class ShortRunModel:
    """Normal likelihood of ``A u = B e``, of known entries and free ones, NaN.

    With ``K = B^-1 A`` it is ``log|K| - tr(K Sigma K') / 2`` for each row. A free entry
    changes K by ``G K``: by ``B^-1 dA K^-1`` in A and by ``-B^-1 dB`` in B. With
    ``M = K Sigma K'`` the gradient is then ``tr G - tr(G M)``, and the information is
    ``tr(G_i G_j) + tr(G_i G_j')``.
    """

    a: np.ndarray
    b: np.ndarray

    @classmethod
    def of(cls, a, b, names: list) -> "ShortRunModel":
        a, b = _restrictions(a, "A", names), _restrictions(b, "B", names)
        n_series, n_free = len(names), int(np.isnan(a).sum() + np.isnan(b).sum())
        if n_free > n_series * (n_series + 1) // 2:
            raise ValueError(
                f"A and B have {n_free} free entries, but the covariance of "
                f"{n_series} series tells {n_series * (n_series + 1) // 2} at most: "
                "restrict more of them."
            )
        return cls(a, b)

    @cached_property
    def _free(self) -> tuple[np.ndarray, np.ndarray]:
        """Places (n, 2) of free entries in A and in B."""
        return np.argwhere(np.isnan(self.a)), np.argwhere(np.isnan(self.b))

    def matrices(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A and B (..., n_series, n_series) of free entries (..., n_free)."""
        in_a, in_b = self._free
        a, b = (
            np.broadcast_to(known, (*free.shape[:-1], *known.shape)).copy()
            for known in (self.a, self.b)
        )
        a[..., in_a[:, 0], in_a[:, 1]] = free[..., : len(in_a)]
        b[..., in_b[:, 0], in_b[:, 1]] = free[..., len(in_a) :]
        return a, b

    def impact(self, free: np.ndarray) -> np.ndarray:
        """Effects at once, of shocks that raise their own series where signs are open.

        That of a shock is where its column of B has no known sign, or its row of A has
        none and tells the shock itself.
        """
        a, b = self.matrices(free)
        effects = np.linalg.solve(a, b)
        known_b, known_a = np.nan_to_num(self.b), np.nan_to_num(self.a)
        alone = (self.b == np.eye(len(b.T))).all(axis=0)
        is_open = ~known_b.any(axis=0) | alone & ~known_a.any(axis=1)
        own = np.diagonal(effects, axis1=-2, axis2=-1)
        sign = np.where(is_open & (own < 0), -1.0, 1.0)
        return effects * sign[..., np.newaxis, :]

    def log_likelihood(self, free: np.ndarray, sigma_u: np.ndarray) -> np.ndarray:
        """Of one row, without constants; minus infinity where A or B is singular."""
        a, b = self.matrices(free)
        size = np.linalg.slogdet(a)[1] - np.linalg.slogdet(b)[1]
        regular = np.isfinite(size)
        factor = _solve(np.where(on_matrices(regular), b, np.eye(b.shape[-1])), a)
        squares = np.einsum("...ij,...jk,...ik->...", factor, sigma_u, factor)
        return np.where(regular, size - squares / 2, -np.inf)

    def step(self, free: np.ndarray, sigma_u: np.ndarray):
        """Step of the scoring algorithm, and the information matrix."""
        a, b = self.matrices(free)
        in_a, in_b = self._free
        inverse, effects = np.linalg.inv(b), np.linalg.solve(a, b)
        columns = inverse[..., [*in_a[:, 0], *in_b[:, 0]]]
        rows = np.concatenate(
            [
                effects[..., in_a[:, 1], :],
                np.broadcast_to(
                    -np.eye(a.shape[-1])[in_b[:, 1]],
                    (*a.shape[:-2], len(in_b), a.shape[-1]),
                ),
            ],
            axis=-2,
        )
        change = np.einsum("...im,...mj->...mij", columns, rows)
        factor = inverse @ a
        fit = factor @ sigma_u @ factor.swapaxes(-1, -2)
        score = np.einsum("...mii->...m", change) - np.einsum(
            "...mij,...ji->...m", change, fit
        )
        information = np.einsum("...mij,...kji->...mk", change, change) + np.einsum(
            "...mij,...kij->...mk", change, change
        )
        return _solve(information, score[..., np.newaxis])[..., 0], information

    def improve(self, free: np.ndarray, sigma_u: np.ndarray) -> np.ndarray:
        """The nearest maximum, by scoring with steps halved until they help."""
        if not free.shape[-1]:
            return free
        value = self.log_likelihood(free, sigma_u)
        for _ in range(_STEPS):
            step, _ = self.step(free, sigma_u)
            length = np.ones_like(value)
            for _ in range(_HALVINGS):
                tried = free + length[..., np.newaxis] * step
                new = self.log_likelihood(tried, sigma_u)
                worse = ~(new >= value)
                if not worse.any():
                    break
                length = np.where(worse, length / 2, length)
            free = np.where(worse[..., np.newaxis], free, tried)
            gain, value = np.where(worse, 0.0, new - value), np.where(worse, value, new)
            if (gain < _CONVERGED).all():
                break
        return free

    def solve(self, sigma_u: np.ndarray) -> np.ndarray:
        """The most likely of the maxima from several starts, for one covariance."""
        rng = np.random.default_rng(0)
        # Without a regular covariance the likelihood has no maximum.
        cholesky(sigma_u)
        deviations = np.sqrt(np.diag(sigma_u))
        in_a, in_b = self._free
        known = np.diag(self.b)
        unit = np.where(np.isnan(known), deviations, np.where(known == 0, 1.0, known))
        is_own = np.concatenate([in_a[:, 0] == in_a[:, 1], in_b[:, 0] == in_b[:, 1]])
        size = np.concatenate(
            [unit[in_a[:, 0]] / deviations[in_a[:, 1]], deviations[in_b[:, 0]]]
        )
        starts = size * (is_own + 0.3 * rng.normal(size=(_STARTS, len(size))))
        starts[0] = size * is_own
        starts = starts[np.isfinite(self.log_likelihood(starts, sigma_u))]
        if not len(starts):
            raise ValueError("A or B is singular, whatever its free entries are.")
        found = self.improve(starts, sigma_u)
        best = found[self.log_likelihood(found, sigma_u).argmax()]
        if len(best) and self._is_open(best, sigma_u):
            raise ValueError(
                "A and B do not identify the shocks: other entries give the same "
                "covariance. Restrict more of them, or others."
            )
        return best

    def _is_open(self, free: np.ndarray, sigma_u: np.ndarray) -> bool:
        """Whether the information is singular, whatever the units of the entries."""
        information = self.step(free, sigma_u)[1]
        size = np.sqrt(np.diag(information))
        if not (size > 0).all():
            return True
        return np.linalg.eigvalsh(information / np.outer(size, size))[0] < _SINGULAR


def _restrictions(values, name: str, names: list) -> np.ndarray:
    """Known entries (n_series, n_series), NaN where free; the unit matrix of None."""
    n_series = len(names)
    if values is None:
        return np.eye(n_series)
    if isinstance(values, pd.DataFrame):
        values = rows_named(values, names, name)
        values = rows_named(values.T, names, name, "columns").T
    values = np.array(values, dtype=object)
    if values.shape != (n_series, n_series):
        raise ValueError(
            f"{name} has shape {values.shape}; pass {(n_series, n_series)}."
        )
    values[values == "E"] = np.nan
    try:
        return values.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'{name} holds what is no number; pass NaN or "E" where an entry is free.'
        ) from error


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions, of least norm where the matrix of one is singular."""
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(matrix) @ right


def on_matrices(values: np.ndarray) -> np.ndarray:
    """Values of draws with two more axes, for their matrices."""
    return values[..., np.newaxis, np.newaxis]


def rows_named(
    table: pd.DataFrame, names: list, argument: str, axis: str = "rows"
) -> pd.DataFrame:
    """The table with its rows in the order of the series."""
    places = places_of(names, list(table.index))
    if places is None:
        raise ValueError(f"{argument} has {axis} {list(table.index)}; pass {names}.")
    return table.iloc[places]


def places_of(names: list, others: list) -> list[int] | None:
    """Where others have each of the names, if these are the same in any order."""
    if len(others) != len(names) or any(name not in others for name in names):
        return None
    return [others.index(name) for name in names]
