"""All that a report says, as values that JSON can hold."""

import math
import warnings
from collections.abc import Callable

import numpy as np
from tqdm.auto import tqdm

from .._files.versions import versions
from .data import data
from .forecasts import backtest, calibration, forecast
from .matrices import connectedness, matrices, residuals, responses
from .refusal import is_refusal
from .subject import Subject
from .values import text

_FORMAT = 1

# In the order in which a reader meets them.
SECTIONS = {
    "data": data,
    "forecast": forecast,
    "backtest": backtest,
    "calibration": calibration,
    "matrices": matrices,
    "responses": responses,
    "connectedness": connectedness,
    "residuals": residuals,
}


def content(subject: Subject) -> dict:
    """The sections of a report, each with what it says or with why it is missing."""
    found = {
        "format": _FORMAT,
        "forecaster": subject.name,
        "series": [text(name) for name in subject.rows],
    }
    for name in tqdm(SECTIONS, desc="report", disable=not subject.verbose):
        found[name] = _section(SECTIONS[name], subject)
    return {**found, "settings": settings(subject)}


def _section(make: Callable[[Subject], dict], subject: Subject) -> dict:
    """What a section says with the cautions that came with it, or why it is missing."""
    with warnings.catch_warnings(record=True) as cautions:
        warnings.simplefilter("always")
        try:
            found = make(subject)
        except (NotImplementedError, ValueError) as error:
            if not is_refusal(error):
                raise
            found = {"missing": str(error)}
    remarks = [one for one in cautions if issubclass(one.category, UserWarning)]
    for one in cautions:
        if one not in remarks:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return {
        **found,
        "remarks": list(dict.fromkeys(str(one.message) for one in remarks)),
    }


def settings(subject: Subject) -> dict:
    """What was fitted, with which parameters and versions."""
    parameters = subject.forecaster.get_params(deep=False)
    # A path on this machine says nothing on others.
    del parameters["checkpoint"]
    return {
        "summary": subject.forecaster.summary(),
        "parameters": {name: _plain(value) for name, value in parameters.items()},
        "versions": versions(),
    }


def _plain(value):
    """A parameter as it is where JSON knows its kind, else the name of its class."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    is_known = isinstance(value, bool | int | float | str | None)
    return value if is_known else type(value).__name__
