"""Plots of vector autoregressions, from arrays and tidy tables."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, with grey for black, which is the colour of data.
_BLUE, _VERMILION = "#0072b2", "#d55e00"
_COLORS = [_BLUE, _VERMILION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442"]
_COLORS += ["#999999"]
_ZERO = {"color": "0.6", "linewidth": 0.8, "zorder": 0}
_BAND = {"color": _BLUE, "linewidth": 0}
_LABELS_PER_INCH = 6


def plot_matrices(matrices, *, names=None, max_lags: int = 6, ax=None) -> "Axes":
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
    matrices = np.asarray(matrices, dtype=float)
    if matrices.ndim != 3 or max_lags < 1:
        raise ValueError(
            f"matrices has shape {matrices.shape} and max_lags is {max_lags}; pass an "
            "array of shape (p, n_responses, n_causes) and at least one lag."
        )
    responses, causes = _sides(names, *matrices.shape[1:])
    shown = matrices[:max_lags]
    n_lags, n_rows, n_columns = shown.shape
    width = np.clip(1.8 + 0.4 * n_lags * n_columns, 3.5, 13)
    ax = _one(ax, width, np.clip(1.7 + 0.4 * n_rows, 3, 9))
    limit = np.abs(shown).max() or 1.0
    style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "aspect": "auto"}
    ax.figure.colorbar(ax.imshow(np.hstack(shown), **style), ax=ax, pad=0.02)
    starts = np.arange(n_lags) * n_columns
    for start in starts[1:]:
        ax.axvline(start - 0.5, color="black", linewidth=1)
    room = ax.get_window_extent().size / ax.figure.dpi * _LABELS_PER_INCH
    every_row, every = np.ceil((n_rows, n_lags * n_columns) / room[::-1]).astype(int)
    at = np.add.outer(starts, range(0, n_columns, every)).ravel()
    ax.set_xticks(at, causes[::every] * n_lags, rotation=90, fontsize="small")
    ax.set_yticks(range(0, n_rows, every_row), responses[::every_row], fontsize="small")
    ax.set_ylabel("response")
    cut = n_lags < len(matrices)
    ax.set_xlabel(f"cause (lags 1 to {n_lags} of {len(matrices)})" if cut else "cause")
    top = ax.secondary_xaxis("top")
    middles = starts + (n_columns - 1) / 2
    top.set_xticks(middles, [f"lag {lag + 1}" for lag in range(n_lags)])
    top.tick_params(length=0)
    return ax


def plot_entry(values, index=None, *, ax=None, truth=None, label=None) -> "Axes":
    """One entry of the matrices over time.

    Parameters
    ----------
    values : ndarray of shape (n_windows,)
    index : PeriodIndex, DatetimeIndex or RangeIndex, optional
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
        If shapes do not fit, or ``index`` holds no times.
    """
    index = pd.RangeIndex(len(values)) if index is None else index
    paths = {"values": values} if truth is None else {"values": values, "truth": truth}
    for name, path in paths.items():
        if np.shape(path) != (len(index),):
            raise ValueError(
                f"{name} has shape {np.shape(path)}; pass an array of shape "
                f"({len(index)},), one value for each time in index."
            )
    ax = _one(ax, 8, 3)
    times = _times(ax, index)
    color = _COLORS[len(ax.lines) % len(_COLORS)]
    ax.plot(times, values, color=color, label=label or "estimate")
    if truth is not None:
        ax.plot(times, truth, color="black", linestyle="dashed", label="truth")
    ax.axhline(0, **_ZERO)
    if label is not None or truth is not None:
        ax.legend(frameon=False)
    return ax


def plot_influence(influence, *, threshold: float = 0.1, ax=None) -> "Axes":
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
        If a strength is negative or NaN, or ``threshold`` is not in [0, 1].
    """
    if not (influence >= 0).all(axis=None):
        raise ValueError(
            "influence holds negative values or NaN; pass strengths, for instance "
            "influence.abs()."
        )
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold} is not in the range [0, 1].")
    ax = _one(ax, 6, 6)
    places = _nodes(ax, influence.columns.union(influence.index, sort=False))
    strengths = influence.rename_axis("response").melt(
        var_name="cause", value_name="strength", ignore_index=False
    )
    links = [
        (strength, cause, response)
        for response, cause, strength in strengths.itertuples()
        if cause != response and strength > 0
    ]
    strongest = max((link[0] for link in links), default=0.0)
    shown = [link for link in links if link[0] >= threshold * strongest]
    for strength, cause, response in sorted(shown, key=lambda link: link[0]):
        _arrow(ax, places[cause], places[response], strength / strongest)
    note = f"cause \N{RIGHTWARDS ARROW} response; strongest link: {strongest:.3g}"
    if len(shown) < len(links):
        note += (
            f"\n{len(links) - len(shown)} of {len(links)} links, below "
            f"{100 * threshold:g}% of the strongest, left out"
        )
    ax.set_xlabel(note, fontsize="small")
    ax.set_title(influence.attrs.get("label", ""))
    return ax


def plot_irf(irf, *, impulses=None, responses=None, ax=None) -> np.ndarray:
    """Impulse responses.

    Parameters
    ----------
    irf : DataFrame
        Columns "horizon", "impulse", "response", "value" and perhaps "lower" and
        "upper", a band whose coverage may be in ``irf.attrs["coverage"]``.
    impulses, responses : sequence of str, optional
        Series to show; by default all.
    ax : ndarray of Axes of shape (n_responses, n_impulses), optional
        Where to draw; by default on a new figure, whose rows share their scale.

    Returns
    -------
    ndarray of Axes of shape (n_responses, n_impulses)

    Raises
    ------
    ValueError
        If columns or series are missing, or ``ax`` has another shape.
    """
    _check_tidy(irf, "irf", ["horizon", "impulse", "response"], "value")
    impulses = _select(impulses, irf["impulse"], "impulses")
    responses = _select(responses, irf["response"], "responses")
    shape = len(responses), len(impulses)
    size = (3.2, 2.2) if max(shape) <= 4 else (1.7, 1.4)
    axes = _grid(ax, shape, size, sharex=True, sharey="row")
    coverage = irf.attrs.get("coverage")
    band = "band" if coverage is None else f"{100 * coverage:g}% band"
    for (i, j), panel in np.ndenumerate(axes):
        part = irf[(irf["response"] == responses[i]) & (irf["impulse"] == impulses[j])]
        horizon = _times(panel, pd.Index(part["horizon"]))
        panel.plot(horizon, part["value"], color=_BLUE, label="impulse response")
        if {"lower", "upper"} <= set(part):
            edges = part["lower"], part["upper"]
            panel.fill_between(horizon, *edges, alpha=0.2, label=band, **_BAND)
        panel.axhline(0, **_ZERO)
        panel.locator_params(axis="y", nbins=4)
        if i == 0:
            panel.set_title(f"shock to\n{impulses[j]}", fontsize="medium")
        if j == 0:
            panel.set_ylabel(responses[i])
        if i == len(axes) - 1:
            panel.set_xlabel("horizon")
    handles, _ = axes[0, 0].get_legend_handles_labels()
    _legend(axes, ax, handles, irf.attrs.get("label"))
    return axes


def plot_fevd(fevd, *, ax=None) -> np.ndarray:
    """Forecast error variance decomposition: stacked shares of the impulses.

    Parameters
    ----------
    fevd : DataFrame
        Columns "horizon", "response", "impulse" and "share".
    ax : array of n_responses Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    ndarray of Axes of shape (n_responses,)

    Raises
    ------
    ValueError
        If columns are missing, or the number of ``ax`` is another.
    """
    _check_tidy(fevd, "fevd", ["horizon", "response", "impulse"], "share")
    responses, impulses = fevd["response"].unique(), fevd["impulse"].unique()
    axes = _panels(ax, responses, most=4, size=(2.8, 2.4))
    for panel, response in zip(axes, responses, strict=True):
        part = fevd[fevd["response"] == response]
        shares = part.pivot(index="horizon", columns="impulse", values="share")
        handles = _stack(panel, shares.reindex(columns=impulses, fill_value=0.0))
        panel.set(ylim=(0, 1), xlabel="horizon", ylabel="share")
        panel.label_outer()
    _legend(axes, ax, handles, fevd.attrs.get("label"))
    return axes


def plot_decomposition(decomposition, *, ax=None) -> np.ndarray:
    """Historical decomposition: stacked contributions of the shocks, and their sum.

    Parameters
    ----------
    decomposition : DataFrame
        Columns "time", "response", "component" and "value". The component "baseline",
        the path without shocks, is not drawn.
    ax : array of n_responses Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    ndarray of Axes of shape (n_responses,)

    Raises
    ------
    ValueError
        If columns are missing, or the number of ``ax`` is another.
    """
    keys = ["time", "response", "component"]
    _check_tidy(decomposition, "decomposition", keys, "value")
    shocks = decomposition[decomposition["component"] != "baseline"]
    responses, components = shocks["response"].unique(), shocks["component"].unique()
    axes = _panels(ax, responses)
    for panel, response in zip(axes, responses, strict=True):
        part = shocks[shocks["response"] == response]
        table = part.pivot(index="time", columns="component", values="value")
        handles = _stack(panel, table.reindex(columns=components, fill_value=0.0))
        total, label = table.sum(axis=1).to_numpy(), "sum: series minus baseline"
        times = _times(panel, table.index)
        handles += panel.plot(times, total, color="black", linewidth=1, label=label)
        panel.axhline(0, **_ZERO)
    _legend(axes, ax, handles, decomposition.attrs.get("label"))
    return axes


def plot_forecast(
    history, forecast, intervals=None, *, n_history=None, ax=None
) -> np.ndarray:
    """Forecasts, prediction intervals and the history before them.

    Parameters
    ----------
    history, forecast : DataFrame or Series
        Of the history the series of the forecast are drawn.
    intervals : DataFrame, optional
        As of sktime's ``predict_interval``: columns (series, coverage, "lower" or
        "upper"), rows those of ``forecast``.
    n_history : int, optional
        Rows to draw of the end of the history; by default 40 or four times the rows
        of the forecast, whichever is more.
    ax : array of n_series Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    ndarray of Axes of shape (n_series,)

    Raises
    ------
    ValueError
        If series or times do not fit, or the number of ``ax`` is another.
    """
    title = forecast.attrs.get("label")
    history, forecast = pd.DataFrame(history), pd.DataFrame(forecast)
    names = _select(forecast.columns, history.columns, "forecast")
    if intervals is None:
        intervals = pd.DataFrame(columns=pd.MultiIndex.from_arrays([[], [], []]))
    elif not intervals.index.equals(forecast.index) or not set(names) <= set(
        intervals.columns.unique(0)
    ):
        raise ValueError(
            "intervals has other rows or series than forecast; pass what sktime's "
            "predict_interval returns for the same fh."
        )
    coverages = sorted(intervals.columns.unique(1), reverse=True)
    # The last row before the forecast joins it to the history.
    origin = history[history.index < forecast.index[0]].iloc[-1:].astype(float)
    shown = history.iloc[-(n_history or max(40, 4 * len(forecast))) :]
    axes = _panels(ax, names)
    for panel, name in zip(axes, names, strict=True):
        panel.plot(_times(panel, shown.index), shown[name], "k", label="observed")
        path = pd.concat([origin[name], forecast[name]])
        times = _times(panel, path.index)
        panel.plot(times, path, color=_BLUE, label="forecast")
        for depth, coverage in enumerate(coverages):
            edges = [
                pd.concat([origin[name], intervals[name, coverage, side]])
                for side in ("lower", "upper")
            ]
            style = {**_BAND, "alpha": 0.15 + 0.3 * depth / len(coverages)}
            label = f"{100 * coverage:g}% interval"
            panel.fill_between(times, *edges, label=label, **style)
    _legend(axes, ax, axes[0].get_legend_handles_labels()[0], title)
    return axes


def plot_training(loss_curve, validation_scores=None, *, ax=None) -> "Axes":
    """Training loss and validation error of each epoch.

    Parameters
    ----------
    loss_curve : sequence of float, of length n_epochs
        Mean training loss of each epoch.
    validation_scores : sequence of float, of length n_epochs + 1, optional
        Minus the mean squared error before training and after each epoch.
    ax : Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If ``loss_curve`` is empty, or lengths do not fit.
    """
    epochs = range(1, len(loss_curve) + 1)
    errors = -np.asarray([] if validation_scores is None else validation_scores)
    if not epochs:
        raise ValueError(
            "loss_curve is empty: the model was not trained (n_layers=0); fit one with "
            "n_layers of at least 1."
        )
    if len(errors) not in (0, len(epochs) + 1):
        raise ValueError(
            f"validation_scores has {len(errors)} values for {len(epochs)} epochs; "
            f"pass {len(epochs) + 1}, the first from before training."
        )
    ax = _one(ax, 6, 3.5)
    ax.plot(epochs, loss_curve, ".-", color=_BLUE, label="training loss")
    if len(errors):
        best = int(np.nanargmin(errors))
        ax.plot(errors, ".-", color=_VERMILION, label="validation error")
        star = {"color": _VERMILION, "markersize": 14, "label": f"best epoch: {best}"}
        ax.plot(best, errors[best], "*", **star)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="epoch", ylabel="mean squared error")
    ax.legend(frameon=False)
    return ax


def _one(ax, width: float, height: float) -> "Axes":
    return _grid(ax, (1, 1), (width, height))[0, 0]


def _grid(ax, shape: tuple[int, int], size: tuple, **shared) -> np.ndarray:
    """The Axes that were given, or new ones of a size in inches."""
    if ax is not None:
        axes = np.array(ax, dtype=object)
        if axes.squeeze().shape != np.empty(shape).squeeze().shape:
            raise ValueError(
                f"ax has shape {axes.shape}; pass None or Axes of shape {shape}."
            )
        return axes.reshape(shape)
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Plots need pip install "skvar[plots]".') from error
    figsize = size[0] * shape[1], size[1] * shape[0]
    options = {"figsize": figsize, "layout": "constrained", "squeeze": False}
    return plt.subplots(*shape, **options, **shared)[1]


def _panels(ax, names: Sequence, most: int | None = None, size=(6, 2)) -> np.ndarray:
    """One Axes per name, at most so many in a row."""
    n_rows = math.ceil(len(names) / (most or min(3, 1 + len(names) // 5)))
    n_columns = math.ceil(len(names) / n_rows)
    if ax is None:
        axes = _grid(None, (n_rows, n_columns), size, sharex=True).ravel()
    else:
        axes = _grid(np.ravel(ax), (len(names), 1), size).ravel()
    axes, unused = np.split(axes, [len(names)])
    for panel in unused:
        panel.remove()
    for panel in axes[-n_columns:]:
        panel.tick_params(labelbottom=True)
    for panel, name in zip(axes, names, strict=True):
        panel.set_title(name, loc="left", fontsize="medium")
    return axes


def _legend(axes: np.ndarray, given, handles: list, label: str | None) -> None:
    """One for all panels, above them where the figure is ours."""
    if given is not None:
        axes.flat[0].legend(handles=handles, title=label, fontsize="small")
        return
    figure = axes.flat[0].figure
    n_columns = min(len(handles), int(figure.get_figwidth() / 1.8))
    options = {"ncols": n_columns, "frameon": False, "title": label}
    figure.legend(handles=handles, loc="outside upper center", **options)


def _stack(ax: "Axes", table: pd.DataFrame) -> list:
    """Bars without gaps, from zero up and from zero down; handles for a legend."""
    from matplotlib import colormaps, patches

    x, n = _times(ax, table.index), table.shape[1]
    colors = _COLORS[:n]
    if n > len(_COLORS):
        colors = colormaps["viridis"](np.linspace(0, 1, n))
    middles = (x[1:] + x[:-1]) / 2
    width = np.diff(x).min(initial=1.0 if len(x) == 1 else np.inf)
    edges = np.concatenate([x[:1] - width / 2, middles, x[-1:] + width / 2])
    values = table.to_numpy(float)[[*range(len(x)), -1]]
    for part in (values.clip(min=0), values.clip(max=0)):
        tops = np.cumsum(part, axis=1)
        for low, high, color in zip((tops - part).T, tops.T, colors, strict=True):
            ax.fill_between(edges, low, high, step="post", color=color, linewidth=0)
    ax.set_xlim(edges[0], edges[-1])
    named = zip(colors, table.columns, strict=True)
    return [patches.Patch(color=color, label=name) for color, name in named]


def _nodes(ax: "Axes", names: pd.Index) -> dict:
    """Draw dots on a circle with names outside; returns the places."""
    places = {}
    for i, name in enumerate(names):
        angle = np.pi / 2 - 2 * np.pi * i / len(names)
        x, y = places[name] = np.cos(angle), np.sin(angle)
        ax.plot(x, y, "o", color="black", markersize=11)
        left = x < -1e-9
        # Many names do not fit unless they point outwards.
        turn = np.degrees(angle) + 180 * left if len(names) > 12 else 0
        side = "right" if left else "left"
        beside = {"rotation": turn, "ha": side, "va": "center"}
        above = {"ha": "center", "va": "bottom" if y > 0 else "top"}
        style = above if abs(x) < 0.2 and not turn else beside
        ax.text(1.1 * x, 1.1 * y, name, rotation_mode="anchor", **style)
    ax.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return places


def _arrow(ax: "Axes", start: tuple, end: tuple, share: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    arrow = FancyArrowPatch(start, end, arrowstyle="-|>", shrinkA=9, shrinkB=9)
    arrow.set_connectionstyle("arc3", rad=0.15)
    arrow.set_mutation_scale(8 + 8 * share)
    arrow.set(color=_BLUE, linewidth=0.5 + 3 * share, alpha=0.2 + 0.8 * share)
    ax.add_patch(arrow)


def _times(ax: "Axes", index: pd.Index) -> np.ndarray:
    """Times as matplotlib's numbers, with ticks to suit them."""
    from matplotlib import dates, ticker

    index = index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index
    if isinstance(index, pd.DatetimeIndex):
        locator = dates.AutoDateLocator(minticks=3, maxticks=7)
        ax.xaxis_date()
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
        return dates.date2num(index.tz_localize(None).to_numpy())
    if not pd.api.types.is_numeric_dtype(index.dtype):
        raise ValueError(
            f"The time index is of dtype {index.dtype}; use timestamps, periods or "
            "integers, for instance with reset_index(drop=True)."
        )
    ax.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
    return index.to_numpy(float)


def _sides(names, *n_series: int) -> list[list]:
    """Names of the responses and of the causes."""
    if names is None:
        names = [[f"y{i}" for i in range(n)] for n in n_series]
    elif len(names) != 2 or not pd.api.types.is_list_like(names[0]):
        names = names, names
    if tuple(map(len, names)) != n_series:
        raise ValueError(
            f"names does not fit matrices of {n_series[0]} responses and {n_series[1]} "
            "causes; pass one name for each series, or a pair of such sequences."
        )
    return [list(side) for side in names]


def _check_tidy(table: pd.DataFrame, name: str, keys: list[str], value: str) -> None:
    missing = [column for column in (*keys, value) if column not in table]
    if missing:
        raise ValueError(f"{name} lacks the columns {missing}; rename those it has.")
    if table.empty or table.duplicated(keys).any():
        raise ValueError(
            f"{name} is empty or has several rows of the same {keys}; select one."
        )


def _select(asked: Sequence | None, known: Sequence, name: str) -> list:
    known = list(pd.unique(known))
    asked = known if asked is None else [asked] if isinstance(asked, str) else asked
    unknown = [series for series in asked if series not in known]
    if unknown or not len(asked):
        raise ValueError(f"{name} names {unknown}; choose one or more of {known}.")
    return list(asked)
