"""Forecasters with a Transformer's accuracy and a VAR's readability."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import benchmark, datasets, identification, nn, plots
    from .analysis import VARCoefficients, cointegration, select_lags
    from .classification import AarenClassifier
    from .files import load, save
    from .forecasting import (
        AarenForecaster,
        InformerForecaster,
        ITransformerForecaster,
        LinearAttentionVAR,
        LinearTransformerForecaster,
        SAMoVARForecaster,
    )
    from .regression import LinearAttentionVARRegressor, SAMoVARRegressor
    from .scoring import rolling_score
    from .training import data_parallel

__version__ = "0.1.0"
__all__ = [
    "AarenClassifier",
    "AarenForecaster",
    "ITransformerForecaster",
    "InformerForecaster",
    "LinearAttentionVAR",
    "LinearAttentionVARRegressor",
    "LinearTransformerForecaster",
    "SAMoVARForecaster",
    "SAMoVARRegressor",
    "VARCoefficients",
    "benchmark",
    "cointegration",
    "data_parallel",
    "datasets",
    "identification",
    "load",
    "nn",
    "plots",
    "rolling_score",
    "save",
    "select_lags",
]

_HOME = {
    "AarenClassifier": "classification",
    "AarenForecaster": "forecasting",
    "ITransformerForecaster": "forecasting",
    "InformerForecaster": "forecasting",
    "LinearAttentionVAR": "forecasting",
    "LinearAttentionVARRegressor": "regression",
    "LinearTransformerForecaster": "forecasting",
    "SAMoVARForecaster": "forecasting",
    "SAMoVARRegressor": "regression",
    "VARCoefficients": "analysis",
    "cointegration": "analysis",
    "data_parallel": "training",
    "load": "files",
    "rolling_score": "scoring",
    "save": "files",
    "select_lags": "analysis",
}


def __getattr__(name: str) -> Any:
    # Loading at first use keeps torch and sktime out of ``import skvar``.
    if name in ("benchmark", "datasets", "identification", "nn", "plots"):
        return import_module(f".{name}", __name__)
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
