"""Plots of vector autoregressions, from arrays and tidy tables."""

import math
import textwrap
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from ._typing import Names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    ManyAxes: TypeAlias = Axes | Sequence[Axes] | np.ndarray

__all__ = [
    "plot_benchmark",
    "plot_connectedness",
    "plot_decomposition",
    "plot_entry",
    "plot_fevd",
    "plot_forecast",
    "plot_irf",
    "plot_matrices",
    "plot_training",
]

# Okabe and Ito's palette, with grey for black, which is the colour of data.
_COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442"]
_COLORS += ["#999999"]
_BLUE, _VERMILION = _COLORS[:2]
_ZERO: dict[str, Any] = {"color": "0.6", "linewidth": 0.8, "zorder": 0}
_BAND: dict[str, Any] = {"color": _BLUE, "linewidth": 0}

# Of more, the strongest are drawn: series of impulse responses, links of a graph.
_MOST_SERIES, _MOST_LINKS = 6, 40

# Letters that an inch holds in the usual size of a font.
_LETTERS = 12


def plot_matrices(
    matrices: np.ndarray,
    *,
    names: Names | None = None,
    max_lags: int = 6,
    title: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Heat map of the matrices of a VAR, lags side by side.

    Parameters
    ----------
    matrices : ndarray of shape (p, n_responses, n_causes)
        Lag 1 first; rows respond, columns cause.
    names : sequence of str, optional
        Of the series, or a pair: names of the responses, names of the causes.
    max_lags : int, default=6
        Later lags are left out.
    title : str, optional
        Of the panel.
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
    if names is None:
        names = [[f"y{i}" for i in range(n)] for n in matrices.shape[1:]]
    elif len(names) != 2 or not pd.api.types.is_list_like(names[0]):
        names = names, names
    if matrices.ndim != 3 or matrices.shape[1:] != tuple(map(len, names)):
        raise ValueError(
            f"names does not fit matrices of shape {matrices.shape}: that must be (p, "
            "n_responses, n_causes), with a name for each series or a pair of names."
        )
    shown, names = matrices[:max_lags], [_shortened(some, 20) for some in names]
    n_lags, n_rows, n_columns = shown.shape
    size = 1.8 + 0.4 * n_lags * n_columns, 1.7 + 0.4 * n_rows
    ax = _grid(ax, (1, 1), np.clip(size, (5, 3), (13, 9)))[0, 0]
    limit = np.abs(shown).max() or 1.0
    style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "aspect": "auto"}
    image = ax.imshow(np.concatenate(shown, axis=1), **style)
    ax.figure.colorbar(image, ax=ax, pad=0.02)
    starts = np.arange(n_lags) * n_columns
    for start in starts[1:]:
        ax.axvline(start - 0.5, color="black", linewidth=1)
    room = ax.get_window_extent().size / ax.figure.dpi * 6  # six names per inch
    every, every_row = np.ceil((n_lags * n_columns, n_rows) / room).astype(int)
    responses, causes = names[0][::every_row], [*names[1][::every]] * n_lags
    at = np.add.outer(starts, range(0, n_columns, every)).ravel()
    ax.set_xticks(at, causes, rotation=90, fontsize="small")
    ax.set_yticks(range(0, n_rows, every_row), responses, fontsize="small")
    cut = f" (lags 1 to {n_lags} of {len(matrices)})" if n_lags < len(matrices) else ""
    ax.set(xlabel=f"cause{cut}", ylabel="response")
    top = ax.secondary_xaxis("top")
    lags = [f"lag {lag + 1}" for lag in range(n_lags)]
    top.set_xticks(starts + (n_columns - 1) / 2, lags)
    top.tick_params(length=0)
    _title(ax, title)
    return ax


def plot_entry(
    values: np.ndarray | Sequence[float],
    index: pd.Index | None = None,
    *,
    ax: "Axes | None" = None,
    truth: np.ndarray | Sequence[float] | None = None,
    label: str | None = None,
) -> "Axes":
    """One entry of the matrices over time.

    Parameters
    ----------
    values : ndarray of shape (n_windows,)
        The entry in each window.
    index : PeriodIndex, DatetimeIndex or RangeIndex, optional
        Times of the windows.
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
    if {np.shape(values), np.shape(values if truth is None else truth)} != {
        index.shape
    }:
        raise ValueError(
            "values, truth and index differ in shape: pass one per window."
        )
    ax = _grid(ax, (1, 1), (8, 3))[0, 0]
    times = _times(ax, index)
    color = _COLORS[len(ax.lines) % len(_COLORS)]
    ax.plot(times, values, color=color, label=label or "estimate")
    if truth is not None:
        ax.plot(times, truth, color="black", linestyle="dashed", label="truth")
    ax.axhline(0, **_ZERO)
    if label is not None or truth is not None:
        ax.legend(frameon=False)
    return ax


def plot_connectedness(
    shares: pd.DataFrame, *, threshold: float = 0.1, ax: "Axes | None" = None
) -> "Axes":
    """Graph of the links between series, without those to themselves.

    Parameters
    ----------
    shares : DataFrame of shape (n_responses, n_shocks)
        Strength of every link, not negative, such as ``pairwise`` of
        `skvar.VARCoefficients.connectedness`; rows respond to columns.
    threshold : float, default=0.1
        Links below this share of the strongest are left out, and all but the 40
        strongest.
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
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold} is not in the range [0, 1].")
    if not (shares >= 0).all(axis=None):
        raise ValueError(
            "shares has negative values or NaN, which shares.abs() or "
            "shares.fillna(0) mend."
        )
    names = shares.columns.union(shares.index, sort=False)
    strengths = shares.reindex(index=names, columns=names, fill_value=0.0)
    links = strengths.to_numpy(float) * (1 - np.eye(len(names)))
    strongest = links.max()
    least = max(threshold * strongest, np.sort(links, axis=None)[-_MOST_LINKS:][0])
    shown = (links > 0) & (links >= least)
    ax = _grid(ax, (1, 1), (6, 6))[0, 0]
    places = _nodes(ax, names)
    style = {"arrowstyle": "-|>", "connectionstyle": "arc3,rad=0.15", "color": _BLUE}
    for response, shock in np.argwhere(shown):
        share = links[response, shock] / strongest
        width = {"linewidth": 0.5 + 3 * share, "alpha": 0.2 + 0.8 * share}
        arrow = {**style, **width, "shrinkA": 8, "shrinkB": 8}
        ax.annotate("", places[response], places[shock], arrowprops=arrow)
    note = f"shock \N{RIGHTWARDS ARROW} response; strongest link: {strongest:.3g}"
    if hidden := np.sum(links > 0) - shown.sum():
        note += f"\n{hidden} links below {100 * least / strongest:.3g}% of it left out"
    ax.set_xlabel(note, fontsize="small")
    _title(ax, shares.attrs.get("label"))
    return ax


def plot_irf(
    irf: pd.DataFrame,
    *,
    shocks: Names | None = None,
    responses: Names | None = None,
    ax: "ManyAxes | None" = None,
) -> np.ndarray:
    """Impulse responses.

    Parameters
    ----------
    irf : DataFrame
        Columns "horizon", "response", "shock", "value" and perhaps "lower" and
        "upper", a band whose coverage may be in ``irf.attrs["coverage"]``.
    shocks, responses : sequence of str, optional
        What to show; by default all, on a new figure the six at most that respond to
        others or move them most.
    ax : ndarray of Axes of shape (n_responses, n_shocks), optional
        Where to draw; by default on a new figure, whose rows share their scale.

    Returns
    -------
    ndarray of Axes of shape (n_responses, n_shocks)

    Raises
    ------
    ValueError
        If columns or series are missing, or ``ax`` has another shape.
    """
    _select(["horizon", "response", "shock", "value"], irf.columns, "irf")
    chosen = shocks, responses
    shocks = _select(shocks, irf["shock"], "shocks")
    responses = _select(responses, irf["response"], "responses")
    title = irf.attrs.get("label") or ""
    if ax is None:
        shocks, responses, note = _strongest(irf, shocks, responses, chosen)
        title += note
    table = irf.pivot(index="horizon", columns=["response", "shock"])
    shape = len(responses), len(shocks)
    size = (3.2, 2.2) if max(shape) <= 4 else (1.7, 1.4)
    axes = _grid(ax, shape, size, legend=True, sharex=True, sharey="row")
    band = (
        f"{100 * irf.attrs['coverage']:g}% band" if "coverage" in irf.attrs else "band"
    )
    for (i, j), panel in np.ndenumerate(axes):
        part = table.xs((responses[i], shocks[j]), axis=1, level=[1, 2])
        horizon = _times(panel, part.index)
        panel.plot(horizon, part["value"], color=_BLUE, label="impulse response")
        if {"lower", "upper"} <= set(part):
            edges = part["lower"], part["upper"]
            panel.fill_between(horizon, *edges, alpha=0.2, label=band, **_BAND)
        panel.axhline(0, **_ZERO)
        panel.locator_params(axis="y", nbins=4)
    for panel, name in zip(axes[0], _wrapped(shocks, 14), strict=True):
        panel.set_title(f"{name}\nshock", fontsize="medium")
    for panel, name in zip(axes[:, 0], _wrapped(responses, 14), strict=True):
        panel.set_ylabel(name)
    for panel in axes[-1]:
        panel.set_xlabel("horizon")
    handles, _ = axes[0, 0].get_legend_handles_labels()
    _legend(axes, ax, handles, title)
    return axes


def plot_fevd(fevd: pd.DataFrame, *, ax: "ManyAxes | None" = None) -> np.ndarray:
    """Forecast error variance decomposition: stacked shares of the shocks.

    Parameters
    ----------
    fevd : DataFrame
        Columns "horizon", "response", "shock" and "share".
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
    _select(["horizon", "response", "shock", "share"], fevd.columns, "fevd")
    responses, shocks = fevd["response"].unique(), fevd["shock"].unique()
    shares = fevd.pivot(index=["response", "horizon"], columns="shock", values="share")
    shares = shares[shocks].fillna(0.0)
    axes = _panels(ax, responses, per_row=4, size=(2.8, 2.4))
    for panel, response in zip(axes, responses, strict=True):
        handles = _stack(panel, shares.loc[response])
        panel.set(ylim=(0, 1), xlabel="horizon", ylabel="share")
    _legend(axes, ax, handles, fevd.attrs.get("label"))
    return axes


def plot_decomposition(
    decomposition: pd.DataFrame, *, ax: "ManyAxes | None" = None
) -> np.ndarray:
    """Historical decomposition: stacked contributions of the shocks, and their sum.

    Parameters
    ----------
    decomposition : DataFrame
        Columns "time", "response", "shock" and "value". The shock "baseline",
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
    columns = ["time", "response", "shock", "value"]
    _select(columns, decomposition.columns, "decomposition")
    shocks = decomposition[decomposition["shock"] != "baseline"]
    responses, names = shocks["response"].unique(), shocks["shock"].unique()
    index = ["response", "time"]
    table = shocks.pivot(index=index, columns="shock", values="value")
    table = table[names].fillna(0.0)
    axes = _panels(ax, responses)
    for panel, response in zip(axes, responses, strict=True):
        part = table.loc[response]
        handles = _stack(panel, part)
        times, total = _times(panel, part.index), part.sum(axis=1)
        handles += panel.plot(times, total, "k", lw=1, label="series minus baseline")
        panel.axhline(0, **_ZERO)
    _legend(axes, ax, handles, decomposition.attrs.get("label"))
    return axes


def plot_forecast(
    history: pd.DataFrame | pd.Series,
    forecast: pd.DataFrame | pd.Series,
    intervals: pd.DataFrame | None = None,
    *,
    baseline: pd.DataFrame | pd.Series | None = None,
    conditions: pd.DataFrame | None = None,
    n_history: int | None = None,
    ax: "ManyAxes | None" = None,
) -> np.ndarray:
    """Forecasts, prediction intervals and the history before them.

    Parameters
    ----------
    history, forecast : DataFrame or Series
        Of the history the series of the forecast are drawn.
    intervals : DataFrame, optional
        As of sktime's ``predict_interval``: columns (series, coverage, "lower" or
        "upper"), rows those of ``forecast``.
    baseline : DataFrame or Series, optional
        Another forecast beside it, dashed, such as one without conditions.
    conditions : DataFrame, optional
        What the forecast was to meet: columns "time", "response", "lower" and "upper".
        Equal bounds are dots, others bars; a single one points to where it leads.
    n_history : int, optional
        Last rows to draw; by default 40, or four times those of the forecast if more.
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
    coverages = []
    if intervals is not None:
        if intervals.columns.nlevels < 3 or not intervals.index.equals(forecast.index):
            raise ValueError(
                "intervals must be from predict_interval, with forecast's fh."
            )
        ends = {_end_of(column): values for column, values in intervals.items()}
        coverages = sorted({coverage for _, coverage, _ in ends}, reverse=True)
        missing = [
            name for name in names if (_levels(name), coverages[0], "lower") not in ends
        ]
        if missing:
            raise ValueError(
                f"intervals: {missing} not found; pass those of the same forecaster."
            )
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
            sides = (ends[_levels(name), coverage, side] for side in ("lower", "upper"))
            edges = (np.append(origin[name], side) for side in sides)
            style = {**_BAND, "alpha": 0.15 + 0.3 * depth / len(coverages)}
            label = f"{100 * coverage:g}% interval"
            panel.fill_between(times, *edges, label=label, **style)
        if baseline is not None:
            path = pd.concat([origin[name], pd.DataFrame(baseline)[name]])
            style = {"color": "0.35", "linestyle": "dashed", "linewidth": 1}
            panel.plot(times, path, label="forecast without conditions", **style)
        if conditions is not None:
            # Names may be tuples, which a comparison takes apart.
            on_panel = [response == name for response in conditions["response"]]
            _mark(panel, conditions[np.array(on_panel, dtype=bool)])
    handles = [h for panel in axes for h in panel.get_legend_handles_labels()[0]]
    handles = {handle.get_label(): handle for handle in handles}
    _legend(axes, ax, [*handles.values()], title)
    return axes


def _mark(ax: "Axes", conditions: pd.DataFrame) -> None:
    """Draw given values as dots, ranges as bars, and one end as an arrow from there."""
    times = _times(ax, pd.Index(conditions["time"]))
    lower, upper = conditions["lower"].to_numpy(), conditions["upper"].to_numpy()
    fixed, has_ends = lower == upper, np.isfinite(lower) & np.isfinite(upper)
    style: dict[str, Any] = {"color": _VERMILION, "zorder": 3}
    for marker, ends, where, label in [
        ("o", lower, fixed, "given value"),
        ("^", lower, np.isinf(upper), "given lower bound"),
        ("v", upper, np.isinf(lower), "given upper bound"),
    ]:
        if where.any():
            dots = style | {"marker": marker, "markersize": 4, "linestyle": ""}
            ax.plot(times[where], ends[where], label=label, **dots)
    if (is_range := has_ends & ~fixed).any():
        ends = lower[is_range], upper[is_range]
        ax.vlines(times[is_range], *ends, linewidth=2, label="given range", **style)


def plot_training(
    loss_curve: Sequence[float],
    validation_scores: Sequence[float] | None = None,
    best_epoch: int | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Axes":
    """Training loss and validation error of each epoch.

    Parameters
    ----------
    loss_curve : sequence of float, of length n_epochs
        Mean training loss of each epoch.
    validation_scores : sequence of float, of length n_epochs + 1, optional
        Minus the mean squared error before training and after each epoch.
    best_epoch : int, optional
        The epoch whose weights are kept, 0 for the start; that of the best score by
        default.
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
        raise ValueError("loss_curve is empty: the model was not trained (n_layers=0).")
    if len(errors) not in (0, len(epochs) + 1):
        raise ValueError("validation_scores must be one more than loss_curve, or none.")
    ax = _grid(ax, (1, 1), (6, 3.5))[0, 0]
    ax.plot(epochs, loss_curve, ".-", color=_BLUE, label="training loss")
    if len(errors):
        best = int(np.nanargmin(errors)) if best_epoch is None else best_epoch
        ax.plot(errors, ".-", color=_VERMILION, label="validation error")
        star = {"color": _VERMILION, "markersize": 14, "label": f"kept: epoch {best}"}
        ax.plot(best, errors[best], "*", **star)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set(xlabel="epoch", ylabel="mean squared error")
    ax.legend(frameon=False)
    return ax


def plot_benchmark(
    results: pd.DataFrame, *, measure: str = "MSE", ax: "ManyAxes | None" = None
) -> np.ndarray:
    """Errors of forecasters by data and horizon, the best on top, failures below.

    Parameters
    ----------
    results : DataFrame
        From `skvar.benchmark.benchmark`.
    measure : str, default="MSE"
        A column with positive numbers, drawn on a logarithmic axis: the mean over
        seeds.
    ax : array of Axes, optional
        Where to draw, one for each of the data; by default on a new figure.

    Returns
    -------
    ndarray of Axes of shape (n_data,)

    Raises
    ------
    ValueError
        If ``ax`` has another number of Axes.
    """
    from matplotlib import ticker

    keys = [results[key] for key in ("data", "estimator", "horizon")]
    values = results[measure].astype(float).groupby(keys, sort=False)
    cells = values.agg(lambda seeds: seeds.mean(skipna=False))
    names, _, horizons = (key.unique() for key in keys)
    size = 6, 1.2 + 0.3 * results["estimator"].nunique()
    given = None if ax is None else np.ravel(np.array(ax, dtype=object))
    axes = _grid(given, (1, len(names)), size, legend=True).ravel()
    for name, axis in zip(names, axes, strict=True):
        means = cells[name].unstack("horizon").reindex(columns=horizons)
        order = means.mean(axis=1, skipna=False).sort_values(
            ascending=False, na_position="first"
        )
        means = means.loc[order.index]
        labels = [estimator.replace("$", r"\$") for estimator in means.index]
        for number, horizon in enumerate(horizons):
            cycle, color = divmod(number, len(_COLORS))
            style = {"color": _COLORS[color], "marker": "os^D"[cycle % 4]}
            axis.plot(means[horizon], labels, ls="", label=horizon, **style)
        axis.set(xscale="log", xlabel=measure)
        axis.set_title(name, loc="left", fontsize="medium")
        axis.grid(axis="y", color="0.9")
        # A logarithmic scale shows hardly a number between 0.3 and 0.9.
        near = not means.max(axis=None) > 10 * means.min(axis=None)
        steps = ticker.MaxNLocator(5) if near else ticker.LogLocator(subs=(1, 3))
        axis.xaxis.set_major_locator(steps)
        axis.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:.3g}"))
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())
    _legend(axes, ax, axes[0].lines, "horizon")
    return axes


def _grid(
    ax: "ManyAxes | None",
    shape: tuple[int, int],
    size: tuple,
    *,
    legend: bool = False,
    **shared: Any,
) -> np.ndarray:
    """The Axes that were given, or new ones of a size in inches, perhaps with a legend.

    Not narrower than a title needs.
    """
    if ax is not None:
        axes = np.array(ax, dtype=object)
        if axes.squeeze().shape != np.empty(shape).squeeze().shape:
            raise ValueError(f"ax has shape {axes.shape}; pass {shape} Axes or None.")
        return axes.reshape(shape)
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('Plots need pip install "skvar[plots]".') from error
    figsize = max(size[0] * shape[1], 5.0), size[1] * shape[0] + 0.8 * legend
    return plt.subplots(
        *shape, figsize=figsize, layout="constrained", squeeze=False, **shared
    )[1]


def _panels(
    ax: "ManyAxes | None",
    names: Sequence,
    per_row: int | None = None,
    size: tuple[float, float] = (6.5, 1.9),
) -> np.ndarray:
    """One Axes per name, row by row."""
    n_rows = math.ceil(len(names) / (per_row or min(3, 1 + len(names) // 5)))
    if ax is not None:
        axes = _grid(
            np.ravel(np.array(ax, dtype=object)), (len(names), 1), size
        ).ravel()
    else:
        shape = n_rows, math.ceil(len(names) / n_rows)
        axes = _grid(None, shape, size, legend=True, sharex=True).ravel()
        for unused in axes[len(names) :]:
            unused.remove()
        axes = axes[: len(names)]
        for lowest in axes[-shape[1] :]:
            lowest.tick_params(labelbottom=True)
    for panel, name in zip(axes, names, strict=True):
        _title(panel, _shown(name), loc="left", fontsize="medium")
    return axes


def _legend(
    axes: np.ndarray, given: "ManyAxes | None", handles: list, title: str | None
) -> None:
    """One for all panels, above them where the figure is ours."""
    where, place = axes.flat[0], {}
    names = _wrapped([handle.get_label() for handle in handles], 30)
    for handle, name in zip(handles, names, strict=True):
        handle.set_label(name)
    if given is None:
        where = where.figure
        longest = max(len(line) for name in names for line in name.splitlines())
        n_columns = int(where.get_figwidth() / (0.7 + longest / 14)) or 1
        place = {"loc": "outside upper center", "ncols": min(len(handles), n_columns)}
        width = int(where.get_figwidth() * _LETTERS)
        lines = (title or "").splitlines()
        title = "\n".join(textwrap.fill(line, width) for line in lines)
    where.legend(handles=handles, title=title, frameon=False, fontsize="small", **place)


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
    named = zip(colors, map(_shown, table.columns), strict=True)
    return [patches.Patch(color=color, label=name) for color, name in named]


def _nodes(ax: "Axes", names: pd.Index) -> np.ndarray:
    """Draw dots on a circle with names outside; returns the places."""
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(names)) / len(names)
    places = np.column_stack([np.cos(angles), np.sin(angles)]).round(9)
    ax.plot(*places.T, "o", color="black", markersize=11)
    few = len(names) <= 12
    names = _wrapped(names, 14) if few else _shortened(names, 24)
    for name, angle, (x, y) in zip(names, np.degrees(angles), places, strict=True):
        style: dict[str, Any] = {"ha": "right" if x < 0 else "left", "va": "center"}
        if not few:
            style["rotation"] = angle + 180 * (x < 0)
        elif abs(x) < 0.2:
            style = {"ha": "center", "va": "bottom" if y > 0 else "top"}
        ax.text(1.1 * x, 1.1 * y, name, rotation_mode="anchor", **style)
    longest = max(len(line) for name in names for line in name.splitlines())
    room = 1.2 + 0.06 * longest
    ax.set(xlim=(-room, room), ylim=(-room, room), aspect=1, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return places


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
        raise ValueError(f"index is of {index.dtype}; use dates, periods or integers.")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True))
    return index.to_numpy(float)


def _strongest(
    irf: pd.DataFrame, shocks: list, responses: list, chosen: tuple
) -> tuple[list, list, str]:
    """Those of many that were not chosen which move others or respond to them most.

    As parts of the largest response of each series; and what to say of it.
    """
    is_long = [
        asked is None and len(names) > _MOST_SERIES
        for asked, names in zip(chosen, (shocks, responses), strict=True)
    ]
    if not any(is_long):
        return shocks, responses, ""
    sizes = irf["value"].abs().groupby([irf["response"], irf["shock"]]).max()
    sizes = sizes.unstack("shock")
    sizes = sizes.div(sizes.max(axis=1).replace(0.0, 1.0), axis=0)
    for name in sizes.index.intersection(sizes.columns):
        sizes.loc[[name], [name]] = 0.0
    moving, moved = sizes.loc[responses].sum(), sizes[shocks].sum(axis=1)
    if all(is_long):
        # The same series both ways, so that answers among them are seen.
        moving = moved = moving.add(moved, fill_value=0.0)
    if is_long[0]:
        shocks = _largest(moving[shocks])
    if is_long[1]:
        responses = _largest(moved[responses])
    return (
        shocks,
        responses,
        (
            f"\n{_MOST_SERIES} of {len(sizes)} series, which move others or respond to "
            "them most; shocks and responses of skvar.plots.plot_irf choose others"
        ),
    )


def _largest(strengths: pd.Series) -> list:
    """Names of the largest, in their order."""
    kept = {*strengths.nlargest(_MOST_SERIES).index}
    return [name for name in strengths.index if name in kept]


def _end_of(column: tuple) -> tuple:
    """Levels of the name of a series, coverage and side of an end of its interval."""
    *name, coverage, side = column
    return _levels(name[0] if len(name) == 1 else tuple(name)), coverage, side


def _levels(name: Hashable) -> tuple:
    return name if isinstance(name, tuple) else (name,)


def _shown(name: Hashable) -> str:
    """A name as it is drawn."""
    return ", ".join(map(str, _levels(name)))


def _wrapped(names: Names, width: int) -> list[str]:
    """Names as they are drawn, in short lines."""
    return [textwrap.fill(_shown(name), width) for name in names]


def _shortened(names: Names, width: int) -> list[str]:
    """Names as they are drawn in one line, where this is long without their ends."""
    shown = [_shown(name) for name in names]
    return [
        name if len(name) <= width else name[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
        for name in shown
    ]


def _title(ax: "Axes", text: str | None, **style: Any) -> None:
    """A title in lines as long as the panel is wide."""
    room = ax.get_window_extent().width / ax.figure.dpi * _LETTERS
    ax.set_title(textwrap.fill(text or "", max(int(room), 14)), **style)


def _select(asked: Names | None, known: Names, name: str) -> list:
    known = list(pd.unique(known))
    asked = known if asked is None else [asked] if isinstance(asked, str) else asked
    unknown = [label for label in asked if label not in known]
    if unknown:
        raise ValueError(f"{name}: {unknown} not found; choose or rename from {known}.")
    return list(asked)
