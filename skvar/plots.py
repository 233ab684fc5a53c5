"""Plots of vector autoregressions: matrices, responses, forecasts and training.

All take arrays and tidy tables, draw on the Axes they are given or on a new figure,
and return the Axes.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_decomposition",
    "plot_entry",
    "plot_fevd",
    "plot_forecast",
    "plot_influence",
    "plot_irf",
    "plot_matrices",
    "plot_training",
]

# Okabe and Ito's palette, with grey for black, which is the colour of data.
_BLUE, _VERMILION = "#0072b2", "#d55e00"
_COLORS = [_BLUE, _VERMILION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442"]
_COLORS += ["#999999"]
_ZERO = {"color": "0.6", "linewidth": 0.8, "zorder": 0}


def plot_matrices(
    matrices: np.ndarray,
    *,
    names: Sequence | None = None,
    max_lags: int = 6,
    ax: "Axes | None" = None,
) -> "Axes":
    """Heat map of the matrices of a VAR, lags side by side.

    Parameters
    ----------
    matrices : ndarray of shape (p, n_responses, n_causes)
        Lag 1 first; rows respond, columns cause.
    names : sequence of str, optional
        Of the series; where not all of them respond, a pair (names of the responses,
        names of the causes). By default "y0", "y1", and so on.
    max_lags : int, default=6
        Later lags are left out.
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    matrices = _checked_array(matrices, "matrices", 3)
    if max_lags < 1:
        raise ValueError(f"max_lags={max_lags} shows nothing; pass at least 1.")
    shown = matrices[:max_lags]
    n_lags, n_responses, n_causes = shown.shape
    responses, causes = _matrix_names(names, n_responses, n_causes)
    n_cells = n_lags * n_causes
    ax = _one(ax, _clip(1.8 + 0.4 * n_cells, 4, 13), _clip(1.4 + 0.4 * n_responses))
    limit = np.abs(shown).max() or 1.0
    image = ax.imshow(
        np.hstack(shown), cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto"
    )
    for border in range(n_causes, n_cells, n_causes):
        ax.axvline(border - 0.5, color="black", linewidth=1)
    size = ax.get_window_extent().size / ax.get_figure().dpi
    every = math.ceil(n_cells / (6 * size[0]))
    ax.set_xticks(
        [lag * n_causes + i for lag in range(n_lags) for i in range(0, n_causes, every)],
        causes[::every] * n_lags,
        rotation=90,
        fontsize="small",
    )
    every = math.ceil(n_responses / (6 * size[1]))
    ax.set_yticks(range(0, n_responses, every), responses[::every], fontsize="small")
    left_out = len(matrices) > n_lags
    ax.set_xlabel(
        f"cause (first {n_lags} of {len(matrices)} lags)" if left_out else "cause"
    )
    ax.set_ylabel("response")
    top = ax.secondary_xaxis("top")
    centres = (np.arange(n_lags) + 0.5) * n_causes - 0.5
    top.set_xticks(centres, [f"lag {lag}" for lag in range(1, n_lags + 1)])
    top.tick_params(length=0)
    ax.figure.colorbar(image, ax=ax, pad=0.02)
    return ax


def plot_entry(
    values: np.ndarray,
    index: pd.Index | None = None,
    *,
    ax: "Axes | None" = None,
    truth: np.ndarray | None = None,
    label: str | None = None,
) -> "Axes":
    """One entry of the matrices over time.

    Parameters
    ----------
    values : ndarray of shape (n_windows,)
    index : PeriodIndex, DatetimeIndex or RangeIndex of length n_windows, optional
        Times of the windows; by default 0, 1, and so on.
    ax : Axes, optional
        Where to draw, perhaps beside other entries; by default on a new figure.
    truth : ndarray of shape (n_windows,), optional
        The true path, dashed.
    label : str, optional
        Name of the entry in the legend.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If lengths differ, or ``index`` holds no times.
    """
    paths = {"values": values, "index": index, "truth": truth}
    lengths = {name: len(path) for name, path in paths.items() if path is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"Lengths differ: {lengths}; pass one value per window.")
    values = _checked_array(values, "values", 1)
    times, dated = _times(pd.RangeIndex(len(values)) if index is None else index)
    ax = _one(ax, 8, 3)
    color = _COLORS[len(ax.lines) % len(_COLORS)]
    ax.plot(times, values, color=color, label=label or "estimate")
    if truth is not None:
        truth = _checked_array(truth, "truth", 1)
        ax.plot(times, truth, color="black", linestyle="dashed", label="truth")
    ax.axhline(0, **_ZERO)
    _time_ticks(ax, dated)
    if label is not None or truth is not None:
        ax.legend(frameon=False)
    return ax


def plot_influence(
    influence: pd.DataFrame, *, threshold: float = 0.1, ax: "Axes | None" = None
) -> "Axes":
    """Graph of which series drives which, without self-loops.

    Parameters
    ----------
    influence : DataFrame of shape (n_responses, n_causes)
        Strength of every link, not negative; rows respond, columns cause.
    threshold : float, default=0.1
        Links below this share of the strongest are left out.
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If a strength is negative or not finite, or ``threshold`` is not in [0, 1].
    """
    from_frame = influence.to_numpy(dtype=float)
    if not (np.isfinite(from_frame).all() and (from_frame >= 0).all()):
        raise ValueError(
            "influence holds negative or missing values; pass strengths, for instance "
            "influence.abs()."
        )
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold} is not in the range [0, 1].")
    names = influence.columns.union(influence.index, sort=False)
    links = {
        (cause, response): strength
        for response, row in influence.iterrows()
        for cause, strength in row.items()
        if cause != response and strength > 0
    }
    strongest = max(links.values(), default=0.0)
    shown = {link: s / strongest for link, s in links.items() if s >= threshold * strongest}
    ax = _one(ax, 6, 6)
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(names)) / len(names)
    places = dict(zip(names, np.column_stack([np.cos(angles), np.sin(angles)])))
    _draw_nodes(ax, angles, names)
    for (cause, response), share in sorted(shown.items(), key=lambda item: item[1]):
        ax.annotate(
            "",
            xy=places[response],
            xytext=places[cause],
            arrowprops={
                "arrowstyle": "-|>,head_length=0.6,head_width=0.25",
                "connectionstyle": "arc3,rad=0.15",
                "shrinkA": 9,
                "shrinkB": 9,
                "linewidth": 0.5 + 3 * share,
                "alpha": 0.2 + 0.8 * share,
                "color": _BLUE,
            },
        )
    note = f"from cause to response; strongest link: {strongest:.3g}"
    if len(shown) < len(links):
        note += (
            f"\n{len(links) - len(shown)} of {len(links)} links, weaker than "
            f"{100 * threshold:g} % of it, are left out"
        )
    ax.set_xlabel(note, fontsize="small")
    ax.set_title(influence.attrs.get("label", ""))
    return ax
