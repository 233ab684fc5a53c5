"""A forecaster's state without the rows that later forecasts do not depend on."""

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .fitted_series import FittedSeries
from .history import Forgotten, SeriesHistory
from .intervals import known_errors
from .residuals import Filler
from .state import ForecasterState


def without_history(state: ForecasterState) -> ForecasterState:
    """The same forecasts and intervals of the next rows, from the last ones alone.

    With averages over the history, if it is that of a single table.
    """
    is_single = not state.history.is_panel
    series = {
        key: _shortened(member, is_single) for key, member in state.members.items()
    }
    if all(series[key] is one for key, one in state.history.series.items()):
        return state
    return replace(
        state,
        history=replace(state.history, series=series),
        n_train={key: n - series[key].n_forgotten for key, n in state.n_train.items()},
        calibration=known_errors(state),
        filler=Filler(state.filler.weights),
        online_forecasts={},
    )


def _shortened(member: FittedSeries, with_averages: bool) -> SeriesHistory:
    model, series = member.model, member.series
    n_spare = model.window_rows
    if model.effect is not None:
        n_spare += len(model.effect.weights) - 1
    if model.terms is not None:
        n_spare += model.terms.ordered.n_lags
    # Errors of the rows since the fit are followed.
    end = min(member.n_train, member.n_known)
    first = _first_row(member, end - n_spare)
    if first <= 0 or series.before is not None:
        return series
    state = None
    if model.specification.is_recurrent:
        state = model.inference.start(member.residual.values[:first])
    averages = member.average_matrices if with_averages else None
    sigma_u = member.sigma_u if with_averages else None
    return series.without_first(
        first, Forgotten(first, n_spare, state, averages, sigma_u)
    )


def _first_row(member: FittedSeries, last: int) -> int:
    """The last row up to some one from which gaps are filled as from the first row on.

    That are as many rows without a gap as fill one.
    """
    series = member.series
    complete = series.table.notna().all(axis=1).to_numpy()
    n_complete = 0 if complete.all() else len(member.filler.weights)
    if series.covariates is not None:
        complete = complete & series.covariates.notna().all(axis=1).to_numpy()
    last -= n_complete
    if last < 0:
        return 0
    stretches = sliding_window_view(complete, max(n_complete, 1)).all(axis=1)
    return int(np.flatnonzero([True, *stretches[1 : last + 1]])[-1])
