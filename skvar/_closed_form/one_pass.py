"""What closed forms need to know of a table, taken block by block in one pass.

Workers that summarise blocks import no more than this.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .._data.blocks import Times, read
from .._data.tables import as_frame
from .sums import Sums, cut


@dataclass(frozen=True, eq=False)
class Plan:
    """What a pass over a table is to find.

    Parameters
    ----------
    n_rows : int
        Rows of the table.
    n_judged : int
        Its last rows, which forecasts of the calibration model are judged by.
    cuts : ndarray of int
        Rows at which stretches begin that have sums of their own.
    n_own, n_pairs : int
        Lags of the products of `Sums`.
    most_series : int
        For which there are products between series.
    own_cuts : ndarray of int, optional
        The same of sums of each series alone, with ``n_pairs`` lags, where these are
        others.
    kept : ndarray of int
        Numbers of the rows to keep.
    sample : list of range
        Of these, the stretches of rows that a network is trained on.
    """

    n_rows: int
    n_judged: int
    cuts: np.ndarray
    n_own: int
    n_pairs: int
    most_series: float
    own_cuts: np.ndarray | None
    kept: np.ndarray
    sample: list[range]

    def n_pairs_of(self, n_series: int) -> int:
        """Lags of products between so many series."""
        return self.n_pairs if n_series <= self.most_series else 0


@dataclass(frozen=True, eq=False)
class Summary:
    """What is known of consecutive rows of a table.

    Parameters
    ----------
    n_rows : int
    names : Index
        Of the series.
    times : Times or None
        None where rows are numbered.
    sums, own_sums : mapping of int to Sums
        By the number of the stretch that rows belong to.
    kept : ndarray of shape (n, n_series)
        The rows to keep.
    """

    n_rows: int
    names: pd.Index
    times: Times | None
    sums: dict[int, Sums]
    own_sums: dict[int, Sums]
    kept: np.ndarray

    def followed_by(self, later: "Summary") -> "Summary":
        """What is known of these rows and those that follow them."""
        if not self.names.equals(later.names):
            raise ValueError(
                f"Blocks have columns {[*self.names]} and {[*later.names]}; select the "
                "same ones, in the same order."
            )
        if (self.times is None) != (later.times is None):
            raise ValueError(
                "Some blocks have a time index and others have none; give all of them "
                "one, or drop it with reset_index(drop=True)."
            )
        return Summary(
            self.n_rows + later.n_rows,
            self.names,
            self.times and self.times.followed_by(later.times),
            _added(self.sums, later.sums),
            _added(self.own_sums, later.own_sums),
            np.concatenate([self.kept, later.kept]),
        )


def _added(sums: dict[int, Sums], later: dict[int, Sums]) -> dict[int, Sums]:
    both = {number: sums[number] + later[number] for number in sums.keys() & later}
    return {**sums, **later, **both}


def summarise(block, first_row: int, plan: Plan) -> Summary | None:
    """What is known of a block that begins at a row; None if it has no rows."""
    table = read(block)
    if not len(table):
        return None
    name = f"the block that begins at row {first_row}"
    frame = as_frame(table, name)
    values = np.ascontiguousarray(frame.to_numpy())
    sums = {
        number: Sums.of(values[rows], plan.n_own, plan.n_pairs_of(values.shape[1]))
        for number, rows in cut(values, first_row, plan.cuts)
    }
    own_sums = {}
    if plan.own_cuts is not None:
        own_sums = {
            number: Sums.of(values[rows], plan.n_pairs, 0)
            for number, rows in cut(values, first_row, plan.own_cuts)
        }
    first, end = np.searchsorted(plan.kept, [first_row, first_row + len(values)])
    kept = values[plan.kept[first:end] - first_row]
    times = Times.of(frame.index, first_row, name)
    return Summary(len(values), frame.columns, times, sums, own_sums, kept)


def joined(summary: Summary | None, later: Summary | None) -> Summary | None:
    """What is known of two neighbours."""
    if summary is None or later is None:
        return summary or later
    return summary.followed_by(later)
