"""Published tables with their standard splits, and simulated ones with the truth."""

from .published import (
    SplitSeries,
    fetch_electricity,
    fetch_ett,
    fetch_exchange_rate,
    fetch_illness,
    fetch_pems,
    fetch_solar,
    fetch_traffic,
    fetch_weather,
    split_series,
)
from .simulated import (
    SimulatedVAR,
    make_drifting_var,
    make_switching_var,
    make_var,
    make_var_tasks,
)

__all__ = [
    "SimulatedVAR",
    "SplitSeries",
    "fetch_electricity",
    "fetch_ett",
    "fetch_exchange_rate",
    "fetch_illness",
    "fetch_pems",
    "fetch_solar",
    "fetch_traffic",
    "fetch_weather",
    "make_drifting_var",
    "make_switching_var",
    "make_var",
    "make_var_tasks",
    "split_series",
]
