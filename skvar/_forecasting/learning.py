"""From a history to a fitted model."""

from collections.abc import Hashable, Mapping
from dataclasses import replace

import numpy as np
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from .._closed_form.covariates import CovariateEffect
from .._closed_form.terms import Design, Ordered, collinear
from .._data.seasons import seasons_of
from .._models.estimation import estimate, with_weights
from .._models.fitted import ClosedForm, FittedModel
from .._models.rows import Rows
from .._models.specification import Specification
from .._training.inference import squared_errors
from .._training.loop import TrainingRecord
from .history import History, SeriesHistory
from .residuals import Filler, ResidualSeries

# An effect is fitted to rows that the fit before helped to fill. Each pass leaves about
# as large a share of the error as there are missing values.
_PASSES = 5

# Lags of the regressions that fill gaps and take account of covariates' errors.
_MOST_LAGS = 24


def learn(
    specification: Specification,
    history: History,
    n_train: Mapping[Hashable, int],
    *,
    start: FittedModel | None = None,
    pretrained: FittedModel | None = None,
    units: Mapping[Hashable, StandardScaler] | None = None,
) -> tuple[FittedModel, History]:
    """Estimate a model on the first rows of each table of a history.

    What training is stopped by is held out of all that is estimated before: units,
    effects of covariates, and what fills gaps.

    Parameters
    ----------
    specification : Specification
    history : History
    n_train : mapping of label to int
        Rows of each table.
    start : FittedModel, optional
        Training goes on from its network.
    pretrained : FittedModel, optional
        Its covariate effect is kept. Without a start, training goes on from its network
        if that significantly improves the forecasts of the last rows; else this network
        is kept.

    units : mapping of label to StandardScaler, optional
        Kept where columns vary in them.

    Returns
    -------
    FittedModel
    History
        In the units of the model.

    Raises
    ------
    ValueError
        If there are too few rows.
    """
    earlier = start or pretrained
    if earlier is not None:
        specification = specification.like(earlier.specification)
    lags = specification.lags
    if lags == "auto":
        lags = automatic_order(max(n_train.values()))
    known = specification.rows_trained_on(n_train)
    history = history.in_units_of(known, units or {})
    ordered = ordered_terms(specification, history)
    if ordered is not None and pretrained is not None:
        raise ValueError(
            "A pretrained network has no terms that trend, seasonal or covariate_lags "
            "order; leave these at their defaults, or fit a new forecaster."
        )
    given = None if pretrained is None else pretrained.effect
    selects = specification.selects_covariates
    effect, filler = effect_and_filler(history, n_train, lags, given, selects)
    rows = rows_of(history, n_train, effect, filler, ordered)
    if known != n_train and (effect is not None or rows.observed is not None):
        as_before = effect_and_filler(history, known, lags, given, selects)
        before = rows_of(history, n_train, *as_before, ordered)
        rows = replace(rows, as_before=before)
    seasons = seasons_of(specification.sp, history.schema.step)
    specification = specification.with_lags(rows, seasons)
    if start is None and pretrained is not None:
        model = _fine_tuned(specification, rows, pretrained)
    else:
        model = _estimated(specification, rows, start)
    weights = None if rows.observed is None else filler.weights
    model = replace(
        model,
        effect=effect,
        fill_weights=weights,
        names=history.schema.names,
        ordered=ordered,
    )
    return model, history


def effect_and_filler(
    history: History,
    n_train: Mapping[Hashable, int],
    lags: int,
    effect: CovariateEffect | None,
    selects: bool = True,
) -> tuple[CovariateEffect | None, Filler]:
    """The effect of covariates, if it is not given, and what fills gaps.

    None where covariates are not selected, but act inside the VAR.
    """
    if effect is None and selects:
        effect = estimate_effect(history, n_train, lags)
    return effect, Filler(None, history, n_train, effect, lags)


def automatic_order(n_rows: int) -> int:
    """Lags of regressions beside the model, where its own are not given."""
    return max(1, min(_MOST_LAGS, n_rows // 8))


def estimate_effect(
    history: History, n_train: Mapping[Hashable, int], lags: int
) -> CovariateEffect | None:
    """Estimate what known covariates do to the series, if there are any."""
    features = history.schema.features
    if features is None:
        return None
    keys = history.in_order(n_train)
    members = [history.series[key] for key in keys]
    used = [n_train[key] for key in keys]
    inputs = [series.inputs[:n] for series, n in zip(members, used, strict=True)]
    complete = all(series.table.notna().all(axis=None) for series in members)
    effect = None
    for _ in range(1 if complete else _PASSES):
        filler = Filler(None, history, n_train, effect, lags)
        values = [
            ResidualSeries(series, effect, filler).values_with_effect[:n]
            for series, n in zip(members, used, strict=True)
        ]
        effect = CovariateEffect.estimate(features, values, inputs)
    return effect


def rows_of(
    history: History,
    n_train: Mapping[Hashable, int],
    effect: CovariateEffect | None,
    filler: Filler,
    ordered: Ordered | None = None,
) -> Rows:
    """The first rows of each table as the network sees them, and their terms."""
    residuals = [
        (ResidualSeries(history.series[key], effect, filler), n_train[key])
        for key in history.in_order(n_train)
    ]
    segments = [residual.values[:n] for residual, n in residuals]
    observed = [residual.observed[:n] for residual, n in residuals]
    complete = all(mask.all() for mask in observed)
    design = None if ordered is None else _design(history, n_train, ordered)
    return Rows(segments, observed=None if complete else observed, design=design)


def ordered_terms(specification: Specification, history: History) -> Ordered | None:
    """Columns that act on every row inside the VAR, if such are ordered.

    Raises
    ------
    ValueError
        If the history cannot have them.
    """
    schema, series = history.schema, next(iter(history.series.values()))
    ordered = specification.ordered(schema.features, series.index[:1], schema.step)
    if ordered is None:
        return None
    if history.is_panel:
        raise ValueError(
            "trend, seasonal and covariate_lags order terms of a VAR of one table, but "
            "y is a panel. Fit to one instance, or leave them at their defaults."
        )
    gaps = series.table.columns[series.table.isna().any()]
    if len(gaps):
        raise ValueError(
            f"y has missing values in {[*gaps]}, which a VAR with terms that trend, "
            "seasonal or covariate_lags order does not take; fill them first, or leave "
            "these parameters at their defaults."
        )
    table = ordered.table(series.covariates, series.index)
    gaps = table.columns[table.isna().any()]
    if len(gaps):
        raise ValueError(
            f"X has missing values in {[*gaps]}, which covariate_lags orders as they "
            "are; fill them first, or pass covariate_lags='auto'."
        )
    return ordered


def check_determined(ordered: Ordered, series: SeriesHistory, lags: int) -> None:
    """Raise unless the rows of a fit tell the effects of ordered terms apart."""
    table = ordered.table(series.covariates, series.index)
    first = max(lags, ordered.n_lags)
    terms, names = ordered.design(table)[first:], ordered.names(table)
    if ordered.deterministic.has_constant:
        terms = np.hstack([np.ones((len(terms), 1)), terms])
        names = ["constant", *names]
    found = collinear(terms, names)
    if found:
        raise ValueError(
            f"The terms {found} are 0, constant, or sums of the terms before them in "
            f"the rows that are regressed, which are {names}; leave them out."
        )


def _design(
    history: History, n_train: Mapping[Hashable, int], ordered: Ordered
) -> Design:
    """Terms of the first rows of each table."""
    [key] = history.in_order(n_train)
    series, scaler = history.series[key], history.series[key].scaler
    table = ordered.table(series.covariates, series.index)[: n_train[key]]
    zero = None
    if not ordered.deterministic.has_constant:
        zero = -scaler.mean_ / scaler.scale_
    return Design([ordered.design(table)], zero)


def _estimated(
    specification: Specification, rows: Rows, start: FittedModel | None
) -> FittedModel:
    check_enough(specification, rows)
    weights = None if start is None else start.network.state_dict()
    return estimate(specification, rows, weights)


def _fine_tuned(
    specification: Specification, rows: Rows, pretrained: FittedModel
) -> FittedModel:
    """Train on from a network if that forecasts the last rows significantly better."""
    horizon = specification.horizon
    network = with_weights(specification, rows.sizes(), pretrained.network.state_dict())
    training, held_out = rows.split(
        specification.window_rows, horizon, specification.validation_fraction
    )
    if held_out is not None and specification.suffices(training.longest(), horizon):
        trained = _estimated(specification, training, pretrained)
        if trained.record.interrupted:
            return trained
        windows = held_out.windows(network.lags, horizon)
        gain = squared_errors(network, windows)
        gain -= squared_errors(trained.network, windows)
        if significantly_better(gain, horizon):
            return _estimated(specification, rows, pretrained)
    return FittedModel(
        specification, rows.sizes(), network, ClosedForm(), TrainingRecord()
    )


def significantly_better(gain: Tensor, horizon: int) -> bool:
    """Whether a mean gain exceeds its standard error.

    Windows of one horizon count as one observation.
    """
    n_independent = len(gain) / horizon
    return len(gain) > 1 and bool(gain.mean() * n_independent**0.5 > gain.std())


def check_enough(specification: Specification, rows: Rows) -> None:
    """Raise rather than do without what a forecaster was asked for."""
    n_rows, horizon = rows.longest(), specification.steps_learned
    if specification.suffices(n_rows, horizon):
        return
    if specification.form is not None:
        raise ValueError(
            f"{n_rows} rows are too few: at least {specification.window_rows + 1} are "
            "needed. Pass more rows."
        )
    remedy = "Pass more rows or lower lags or horizon"
    seen = f"lags={specification.lags}"
    if specification.window_rows > specification.lags:
        seen += f", tracking_rows={specification.window_rows - specification.lags}"
    held_out, n_held_out = "", specification.n_held_out(n_rows, horizon)
    if n_held_out:
        held_out = f" and a validation block of {n_held_out} rows"
        remedy += ", or set early_stopping=False to do without the block"
    raise ValueError(
        f"{n_rows} rows are too few for {seen}, horizon={horizon}{held_out}: "
        f"at least {specification.window_rows + horizon + n_held_out} are needed. "
        f"{remedy}."
    )
