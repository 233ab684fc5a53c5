"""Forecasts, and how good those of rows were that have come."""

import math

import numpy as np

from .._data.seasons import seasons_of
from .refusal import is_refusal
from .subject import Subject
from .trial import Trial
from .values import ROUNDING, is_constant, plain, text

# Of intervals that the calibration is drawn at.
_NOMINAL = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
# Rows of history before the forecasts of a picture, in steps and at least.
_HISTORY, _LEAST_HISTORY = 5, 40
# Rows of the truth beside forecasts of it, in steps and at least.
_TRUTH, _LEAST_TRUTH = 6, 150


def forecast(subject: Subject) -> dict:
    """The next rows, with intervals."""
    fh, ahead = np.arange(1, subject.steps + 1), subject.ahead
    mean = np.asarray(subject.forecaster.predict(fh, ahead))
    mean = mean.reshape(subject.steps, -1)
    recent = subject.rows[-max(_HISTORY * subject.steps, _LEAST_HISTORY) :]
    return {
        "times": subject.labels(subject.times_ahead),
        "mean": plain(mean.T),
        **_intervals(subject, fh, mean.shape),
        "history": {
            "times": subject.labels(recent.index),
            "values": plain(recent.to_numpy().T),
        },
    }


def _intervals(subject: Subject, fh: np.ndarray, shape: tuple) -> dict:
    """Ends by coverage, series and step, or why there are none."""
    coverages = list(subject.coverages)
    try:
        ends = subject.forecaster.predict_interval(fh, subject.ahead, coverages)
    except ValueError as error:
        if not is_refusal(error):
            raise
        return {"coverages": [], "lower": [], "upper": [], "no_intervals": str(error)}
    ends = ends.to_numpy().reshape(*shape, len(coverages), 2).transpose(3, 2, 1, 0)
    return {"coverages": coverages, "lower": plain(ends[0]), "upper": plain(ends[1])}


def backtest(subject: Subject) -> dict:
    """Errors on rows not learned from, beside those of the simplest forecasts."""
    trial, season = subject.trial, _season(subject)
    forecasts = {subject.name: trial.forecasts, "last value": trial.repeated(1)}
    if season > 1:
        forecasts["seasonal naive"] = trial.repeated(season)
    errors = np.stack([one - trial.truth for one in forecasts.values()])
    # Rounding errors are none: their ratios would mean nothing.
    errors[np.abs(errors) <= ROUNDING * np.abs(trial.truth)] = 0.0
    absolute = _mean(np.abs(errors), (1, 2))
    is_compared = _is_compared(absolute)
    scale = _scale(trial)
    n_shown = len(subject.rows) - trial.n_learned + subject.steps
    n_shown = min(n_shown, max(_TRUTH * subject.steps, _LEAST_TRUTH))
    first = max(len(subject.rows) - n_shown, 0)
    rows = subject.rows[first:]
    return {
        **_rows_of(trial),
        "season": season,
        "methods": list(forecasts),
        "mean_absolute_error": plain(absolute),
        "relative_error": plain(_relative(absolute[:, is_compared])),
        "not_compared": [text(name) for name in subject.rows.columns[~is_compared]],
        "root_mean_squared_error": plain(np.sqrt(_mean(np.square(errors), (1, 2)))),
        "error_by_step": plain(_mean(np.abs(errors) / scale, (1, 3))),
        "origins": subject.labels(subject.rows.index[trial.origins]),
        # Of the first row of each forecast in those of the truth; before them if < 0.
        "starts": (trial.origins + 1 - first).tolist(),
        "forecasts": plain(trial.forecasts.transpose(0, 2, 1)),
        "truth": {
            "times": subject.labels(rows.index),
            "values": plain(rows.to_numpy().T),
        },
    }


def _season(subject: Subject) -> int:
    """Rows of the longest season: that of the forecaster, or else of the time index."""
    known = subject.seasons or seasons_of("auto", subject.step)
    return max((one for one in known if one <= subject.trial.n_learned), default=1)


def _is_compared(errors: np.ndarray) -> np.ndarray:
    """Series of which every method has errors, so that all have a ratio."""
    return (np.isfinite(errors) & (errors > 0)).all(axis=0)


def _relative(errors: np.ndarray) -> np.ndarray:
    """Geometric means over series of errors, as ratios to those of the last value."""
    if not errors.shape[1]:
        return np.full(len(errors), np.nan)
    return np.exp(np.log(errors / errors[1]).mean(axis=1))


def _scale(trial: Trial) -> np.ndarray:
    """Standard deviations of the rows learned from, 1 for constants."""
    learned = trial.subject.rows[: trial.n_learned]
    constant = is_constant(learned.to_numpy())
    return np.where(constant, 1.0, learned.std(ddof=0))


def _mean(values: np.ndarray, axis: tuple) -> np.ndarray:
    """The mean of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    n_known = known.sum(axis=axis)
    return np.divide(total, n_known, np.full(total.shape, np.nan), where=n_known > 0)


def _rows_of(trial: Trial) -> dict:
    """Which rows a test is about."""
    subject, index = trial.subject, trial.subject.rows.index
    return {
        "refitted": trial.refitted,
        "pretrained": hasattr(trial.forecaster, "pretrained_"),
        "n_learned": trial.n_learned,
        "n_held_out": len(index) - trial.n_learned,
        "first": subject.labels(index[trial.n_learned :][:1])[0],
        "last": subject.labels(index[-1:])[0],
        "n_origins": len(trial.origins),
        "steps": subject.steps,
    }


def calibration(subject: Subject) -> dict:
    """How often intervals held the truth, against how often they were to."""
    trial, nominal = subject.trial, sorted({*_NOMINAL, *subject.coverages})
    ends, truth = trial.intervals(nominal), trial.truth[..., np.newaxis]
    within = (ends[..., 0] <= truth) & (truth <= ends[..., 1])
    known = np.isfinite(truth) & np.isfinite(ends).all(axis=-1)
    # An interval without width around a constant is no test of the others.
    known &= ~is_constant(subject.rows.to_numpy())[:, np.newaxis]
    held = np.where(known, within, np.nan)
    n_rows = len(np.unique(trial.origins[:, np.newaxis] + np.arange(subject.steps)))
    chance = [1.96 * math.sqrt(one * (1 - one) / n_rows) for one in nominal]
    return {
        **_rows_of(trial),
        "nominal": nominal,
        "observed": plain(_mean(held, (0, 1, 2))),
        "observed_by_series": plain(_mean(held, (0, 1))),
        "chance": chance,
        "n_values": int(known[..., 0].sum()),
    }
