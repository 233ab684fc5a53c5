"""What a user should be told of a fit."""

from collections.abc import Iterator

import numpy as np

from .._data.seasons import season_strength, seasons_of
from .._data.units import units_of
from .state import ForecasterState

# Part of the variance of changes that a season that matters explains.
_STRONG = 0.6

# Rows below which mean 0 and variance 1 may be chance, and how exact they are.
_FEW, _EXACT = 8, 1e-8


def advice(state: ForecasterState, lags: int | str, sp) -> Iterator[str]:
    """What to warn of; ``lags`` and ``sp`` are the parameters of the forecaster."""
    season = missing_season(state, lags, sp)
    if season is not None:
        yield season
    if already_scaled(state):
        yield (
            "Every series has mean 0 and variance 1, as a StandardScaler before the "
            "forecaster leaves them: forecasts are in these units. Leave the scaler "
            "out, as forecasters scale by themselves, or use "
            "sktime.forecasting.compose.TransformedTargetForecaster, which undoes it."
        )


def already_scaled(state: ForecasterState) -> bool:
    """Whether a table was standardised before it came."""
    if state.history.is_panel:
        return False
    scaler = units_of(state.single.series.table.to_numpy())
    n_rows, varies = sum(state.n_train.values()), scaler.var_ > 0
    exact = np.abs(scaler.mean_).max() < _EXACT
    exact &= (np.abs(scaler.var_ - 1) < _EXACT)[varies].all()
    return bool(n_rows >= _FEW and varies.any() and exact)


def missing_season(state: ForecasterState, lags: int | str, sp) -> str | None:
    """What to tell a user whose model lacks a season that the rows have, or may have.

    ``lags`` and ``sp`` are the parameters of the forecaster.
    """
    seasons = seasons_of(sp, state.history.schema.step)
    if lags == "auto":
        n_rows = max(state.n_train.values())
        long = [season for season in seasons if n_rows < 2 * season]
        # Of several that the time index suggests, some are enough.
        if not long or (isinstance(sp, str) and long != [*seasons]):
            return None
        return (
            f"{n_rows} rows are less than two seasons of {long[0]}: forecasts leave "
            "this season out. Pass more rows, or sp=1 if there is none."
        )
    ordered = state.model.ordered
    if ordered is not None:
        seasons = [one for one in seasons if one != ordered.deterministic.season]
    segments = [member.residual.values for member in state.members.values()]
    for season in (season for season in seasons if lags < season):
        strength = season_strength(segments, season)
        if strength > _STRONG:
            return (
                f"lags={lags} is less than a season of {season} rows, whose pattern "
                f"explains {strength:.0%} of the changes: forecasts miss it. Pass "
                f"lags='auto', lags of at least {season + 1}, or sp=1 to say that "
                "there is no season."
            )
    return None
