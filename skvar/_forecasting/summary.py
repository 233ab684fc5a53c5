"""What was fitted, as text."""

import math
from collections.abc import Iterator

import numpy as np

from .._closed_form.covariates import CovariateEffect
from .._closed_form.direct import DirectRidge
from .._closed_form.error_correction import SMOOTHED_PART
from .._closed_form.evidence import Evidence
from .._closed_form.form import Form
from .._closed_form.terms import Ordered
from .._models.fitted import FittedModel
from .._networks.static_path import StaticPath
from .state import ForecasterState

# A pull to the mean below this is one of rounding and of estimation.
_HARDLY = 0.01


def summary(state: ForecasterState, name: str) -> str:
    """What a fitted forecaster of some name was fitted to and how, in a few lines."""
    lines = {"rows": _rows(state), **dict(_lines(state.model))}
    width = max(map(len, lines))
    return "\n".join(
        [name, *(f"  {label:<{width}}  {text}" for label, text in lines.items())]
    )


def _rows(state: ForecasterState) -> str:
    n_rows = sum(state.n_train.values())
    n_rows += sum(one.n_forgotten for one in state.history.series.values())
    series = len(state.history.schema.names)
    instances = f" in {len(state.n_train)} instances" if len(state.n_train) > 1 else ""
    return f"{n_rows}{instances} of {series} series"


def _lines(model: FittedModel) -> Iterator[tuple[str, str]]:
    specification, solved = model.specification, model.closed_form
    form, evidence = specification.form, solved.evidence
    yield "lags", str(specification.lags)
    if form is not None:
        seasons = zip(form.seasons, form.n_seasons, strict=True)
        found = [f"{season} rows, pattern of the last {n}" for season, n in seasons]
        yield "season", "; ".join(found) or "none"
    if form is not None and evidence is not None:
        yield "closed form", _form(form)
        part = SMOOTHED_PART if form.smoothed_rows else 0
        yield "smoothing", f"{part:.0%} of the forecast is that of each series alone"
        yield "levels", _pull(model)
        penalties = [f"{kind} {x:.3g}" for kind, x in evidence.penalties.items()]
        yield "penalties", ", ".join(penalties)
    elif len(solved.ridges) == 1:
        yield "closed form", f"direct ridge, {_penalties(*solved.ridges)}"
    elif solved.ridges:
        yield "closed form", f"mean of {len(solved.ridges)} direct ridges"
        for one in solved.ridges:
            yield f"  of {one.lags} rows", _penalties(one)
    elif solved.alpha is not None:
        yield "closed form", f"ridge VAR, alpha {solved.alpha:.3g}"
    if evidence is not None:
        yield "coefficients", f"{evidence.n_coefficients:.1f} effective per equation"
        yield "log evidence", _evidence(evidence)
    if model.ordered is not None:
        yield "terms", _terms(model.ordered)
    if model.effect is not None:
        yield "covariates", _selected(model.effect)
    yield "network", _network(model)


def _form(form: Form) -> str:
    others = "without other series"
    if form.cross_lags is not None:
        others = f"with other series to lag {form.cross_lags + 1}"
    return f"VAR in error-correction form, {form.own_lags} lagged changes, {others}"


def _penalties(ridge: DirectRidge) -> str:
    """Of a direct regression, and what series have in common in it."""
    if ridge.repeats_last:
        return "the last value: no penalty errs less on blocks left out"
    if math.isinf(ridge.pull):
        return f"alpha {ridge.alpha:.3g}, one matrix for all series"
    own = f"a matrix for each series, drawn to one for all by {ridge.pull:.3g}"
    return f"alpha {ridge.alpha:.3g}, {own}"


def _pull(model: FittedModel) -> str:
    """How strongly levels go back to the mean, by the part of a gap closed in a row."""
    network = model.network
    var = network.var if isinstance(network, StaticPath) else network
    pull = 1 - np.diagonal(var.matrices.sum(dim=0).cpu().numpy())
    kind = "differences" if np.abs(pull).max() < _HARDLY else "levels"
    closed = f"{pull.min():.1%} to {pull.max():.1%} of the gap to the mean"
    return f"{kind}: a row closes {closed}"


def _terms(ordered: Ordered) -> str:
    """Which terms are in the VAR as they were ordered."""
    deterministic, n_lags = ordered.deterministic, ordered.n_lags
    names = {"n": ["no constant"], "c": ["constant"], "ct": ["constant", "trend"]}
    terms = names[deterministic.trend]
    if deterministic.season > 1:
        terms = [*terms, f"dummies of a season of {deterministic.season} rows"]
    if len(deterministic.calendar):
        terms = [*terms, f"calendar ({', '.join(deterministic.calendar)})"]
    if len(ordered.covariates):
        columns = ", ".join(map(str, ordered.covariates))
        terms = [*terms, f"{columns} at lags 0 to {n_lags}" if n_lags else columns]
    return ", ".join(terms)


def _selected(effect: CovariateEffect) -> str:
    """Which columns were selected to act before the VAR, and which left out."""
    names, acts = effect.features.names, effect.weights.any(axis=(0, 1))
    of_calendar = acts[len(names) :]
    parts = []
    for what, columns in (
        ("selected", names[acts[: len(names)]]),
        ("left out", names[~acts[: len(names)]]),
    ):
        if len(columns):
            parts.append(f"{what}: {', '.join(map(str, columns))}")
    if len(of_calendar):
        n_selected = np.count_nonzero(of_calendar)
        parts.append(f"{n_selected} of {len(of_calendar)} columns of the calendar")
    return "; ".join(parts)


def _evidence(evidence: Evidence) -> str:
    return f"{evidence.log_evidence:.1f} on {evidence.n_rows} rows"


def _network(model: FittedModel) -> str:
    record, weight = model.record, model.network_weight
    if not record.n_epochs:
        return f"weight {weight:.2f}, not trained"
    return f"weight {weight:.2f}, best of {record.n_epochs} epochs: {record.best_epoch}"
