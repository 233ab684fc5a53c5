"""From a history to a fitted model."""

from collections.abc import Hashable, Mapping
from dataclasses import replace

from sklearn.preprocessing import StandardScaler
from torch import Tensor

from .._closed_form.covariates import CovariateEffect
from .._data.seasons import seasons_of
from .._models.estimation import estimate, with_weights
from .._models.fitted import ClosedForm, FittedModel
from .._models.rows import Rows
from .._models.specification import Specification
from .._training.inference import squared_errors
from .._training.loop import TrainingRecord
from .history import History
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
    given = None if pretrained is None else pretrained.effect
    effect, filler = effect_and_filler(history, n_train, lags, given)
    rows = rows_of(history, n_train, effect, filler)
    if known != n_train and (effect is not None or rows.observed is not None):
        as_before = effect_and_filler(history, known, lags, given)
        rows = replace(rows, as_before=rows_of(history, n_train, *as_before))
    seasons = seasons_of(specification.sp, history.schema.step)
    specification = specification.with_lags(rows, seasons)
    if start is None and pretrained is not None:
        model = _fine_tuned(specification, rows, pretrained)
    else:
        model = _estimated(specification, rows, start)
    weights = None if rows.observed is None else filler.weights
    model = replace(
        model, effect=effect, fill_weights=weights, names=history.schema.names
    )
    return model, history


def effect_and_filler(
    history: History,
    n_train: Mapping[Hashable, int],
    lags: int,
    effect: CovariateEffect | None,
) -> tuple[CovariateEffect | None, Filler]:
    """The effect of covariates, if it is not given, and what fills gaps."""
    if effect is None:
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
) -> Rows:
    """The first rows of each table as the network sees them."""
    residuals = [
        (ResidualSeries(history.series[key], effect, filler), n_train[key])
        for key in history.in_order(n_train)
    ]
    segments = [residual.values[:n] for residual, n in residuals]
    observed = [residual.observed[:n] for residual, n in residuals]
    complete = all(mask.all() for mask in observed)
    return Rows(segments, observed=None if complete else observed)


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
