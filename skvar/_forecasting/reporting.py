"""What a report on a forecaster is about."""

import numbers
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from .._typing import Table
from ..report import Subject
from .history import Schema, SeriesHistory
from .state import ForecasterState


def subject(
    forecaster,
    state: ForecasterState,
    earlier: pd.DataFrame | None,
    X: pd.DataFrame | None,
    *,
    steps: int | None,
    coverage: float | Sequence[float],
    held_out: float,
    n_origins: int,
    random_state,
    caution: str,
) -> Subject:
    """A forecaster with its rows and ``earlier`` ones, of which a report is made.

    Raises
    ------
    ValueError
        If an argument is out of its range, or ``X`` lacks earlier rows.
    """
    coverages = [*map(float, np.unique(coverage))]
    if not coverages or not (coverages[0] > 0 and coverages[-1] < 1):
        raise ValueError(f"coverage={coverage} must be between 0 and 1.")
    steps = state.model.horizon if steps is None else steps
    check_scalar(steps, "steps", numbers.Integral, min_val=1)
    check_scalar(n_origins, "n_origins", numbers.Integral, min_val=2)
    bounds = {"min_val": 0, "max_val": 1, "include_boundaries": "left"}
    check_scalar(held_out, "held_out", numbers.Real, **bounds)
    series, schema = state.single.series, state.history.schema
    rows, covariates = _table(series, schema, state.single.n_known, earlier, X)
    n_earlier = len(rows) - state.single.n_known
    return Subject(
        forecaster,
        rows,
        covariates,
        None if X is None else X[X.index > rows.index[-1]],
        n_earlier=n_earlier,
        n_learned=min(n_earlier + state.single.n_train, len(rows)),
        n_fitted=series.n_forgotten + state.single.n_train,
        has_all_rows=series.before is None,
        window_rows=state.model.window_rows,
        steps=steps,
        coverages=coverages,
        held_out=held_out,
        n_origins=n_origins,
        random_state=random_state,
        only_here=_only_here(series, n_earlier),
        caution=caution,
    )


def caution_of(state: ForecasterState, y: Table) -> str:
    """What there is to say of rows that are not as the forecaster learned them."""
    if isinstance(y, np.ndarray):
        return ""
    targets = state.history.schema.targets
    rows = state.history.check_table(y, "y", targets)
    learned = state.single.series.table[targets][: state.single.n_train]
    both = rows.index.intersection(learned.index)
    known, given = learned.loc[both], rows.loc[both]
    same = np.isclose(given, known, rtol=1e-9, atol=0, equal_nan=True).all(axis=1)
    if same.all():
        return ""
    return (
        f"{(~same).sum()} of these rows differ from those that the model learned from. "
        "The report is on these rows as y has them."
    )


def _table(
    series: SeriesHistory,
    schema: Schema,
    n_known: int,
    earlier: pd.DataFrame | None,
    X: pd.DataFrame | None,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Known rows of the series that are forecast, and what X has of these."""
    table = series.table[:n_known]
    rows, parts = table[schema.targets], [table[schema.past]]
    if series.covariates is not None:
        parts.append(series.covariates[:n_known])
    covariates = pd.concat(parts, axis=1)
    if earlier is not None and len(earlier):
        rows = pd.concat([earlier, rows])
        before = schema.covariates_at(X, earlier.index, schema.past)
        covariates = pd.concat([before, covariates])
    if isinstance(rows.index, pd.DatetimeIndex):
        rows = rows.set_axis(pd.DatetimeIndex(rows.index, freq=schema.step))
    return rows, covariates if covariates.shape[1] else None


def _only_here(series: SeriesHistory, n_earlier: int) -> str:
    """Why no forecaster like this one can be fitted to the first rows, if so."""
    if series.key is not None:
        return (
            "The forecaster is that of one instance of a panel and learned from the "
            "others as well, so that one fitted to the first rows of this instance "
            "would be another."
        )
    if series.n_forgotten > n_earlier:
        return "The forecaster does not hold the rows that it learned from."
    return ""
