"""Whether matrices that change forecast better than those of a static VAR."""

from dataclasses import replace

import numpy as np
import pandas as pd

from .._models.specification import Specification
from .._typing import Table
from .._var.checks import check_free
from .._var.diagnostics import clark_west
from .calibration import CalibrationModel, rows_after
from .fitted_series import FittedSeries
from .state import ForecasterState

# Rows of forecasts below which a standard error means nothing.
_LEAST_ROWS = 20


def test_dynamics(state: ForecasterState, Y: Table | None) -> pd.DataFrame:
    """As of the method of `LinearAttentionVAR`."""
    names = list(state.history.schema.targets)
    check_free(names, "all")
    if not state.model.specification.n_layers:
        raise ValueError(
            "n_layers=0 is the static VAR itself; fit with n_layers of at least 1 to "
            "test what changes."
        )
    state.single.series.check_whole("A test of the dynamic part")
    errors = _held_out(state) if Y is None else _on_table(state, Y)
    shown, scale = state.history.schema.shown, state.single.scale
    static, dynamic = (found[:, shown] / scale for found in errors)
    n_rows = int(np.isfinite(dynamic).any(axis=1).sum())
    if n_rows < _LEAST_ROWS:
        raise ValueError(
            f"{n_rows} rows that were not learned from are too few for a test, which "
            f"needs {_LEAST_ROWS}: pass more of them as Y, or fit on more rows."
        )
    columns = {**{name: [i] for i, name in enumerate(names)}, "all": slice(None)}
    rows = []
    for name, some in columns.items():
        statistic, p_value = clark_west(static[:, some], dynamic[:, some])
        rows.append(
            {
                "response": name,
                "mse_static": np.nanmean(np.square(static[:, some])),
                "mse_dynamic": np.nanmean(np.square(dynamic[:, some])),
                "statistic": statistic,
                "p_value": p_value,
            }
        )
    table = pd.DataFrame(rows)
    table.attrs["n_rows"] = n_rows
    return table


def _held_out(state: ForecasterState) -> tuple[np.ndarray, np.ndarray]:
    """Errors of a static and a dynamic model on the last rows.

    Models that have not seen these, as they calibrate intervals.
    """
    known = state.calibration
    dynamic, n_rows = known.model(1), known.n_train[None]
    series = known.history.series[None].first(n_rows)
    origins = np.arange(dynamic.n_train[None] - 1, n_rows - 1)
    errors = _errors_after(dynamic.on(series, None), origins)
    if not dynamic.model.network_weight:
        return errors, errors
    static = CalibrationModel.learn(
        _without_attention(known.specification),
        known.history,
        dynamic.n_train,
        None,
    )
    return _errors_after(static.on(series, None), origins), errors


def _errors_after(member: FittedSeries, origins: np.ndarray) -> np.ndarray:
    truth = rows_after(member.residual.rows, origins, 1)
    return (truth - member.forecasts_after(origins, 1))[:, 0]


def _on_table(state: ForecasterState, Y: Table) -> tuple[np.ndarray, np.ndarray]:
    """Errors on a table that is new to both."""
    known, errors = state.calibration, state.single.errors(state.windows(Y))
    if not state.model.network_weight:
        return errors, errors
    static = ForecasterState.learned(
        _without_attention(known.specification),
        known.history,
        known.history.series[None].index[known.n_train[None] - 1],
    )
    of_static = static.single.errors(static.windows(Y))
    # Its windows may be shorter, and begin earlier.
    return of_static[len(of_static) - len(errors) :], errors


def _without_attention(specification: Specification) -> Specification:
    return replace(specification, n_layers=0, checkpoint=None)
