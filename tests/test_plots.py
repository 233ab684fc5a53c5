"""What the plots draw, against the numbers they are given."""

import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.dates import date2num
from matplotlib.transforms import Bbox

from skvar import LinearAttentionVAR, plots

RNG = np.random.default_rng(0)
NAMES = ["Income", "Savings", "Output"]
QUARTERS = pd.period_range("2000Q1", periods=60, freq="Q")
DATES = QUARTERS.to_timestamp()


@pytest.fixture(autouse=True)
def figures():
    before = dict(matplotlib.rcParams)
    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()  # a warning of the layout is an error
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


def tidy(first, second, third, value, times=range(1, 9)):
    index = pd.MultiIndex.from_product([times, NAMES, NAMES])
    table = index.to_frame(index=False, name=[first, second, third])
    table.attrs["label"] = "window ending 2008Q3"
    return table.assign(**{value: RNG.normal(size=len(table))})


def texts(labels):
    return [label.get_text() for label in labels]


def legend_of(axes):
    [legend] = axes.flat[0].figure.legends
    return legend.get_title().get_text(), texts(legend.get_texts())


def arrows_of(ax):
    return [text for text in ax.texts if hasattr(text, "arrow_patch")]


def span(panel, x):
    """Lowest and highest of the areas at x."""
    box = Bbox([[x - 0.1, -99], [x + 0.1, 99]])
    paths = [path for area in panel.collections for path in area.get_paths()]
    inside = np.concatenate([path.clip_to_bbox(box).vertices[:, 1] for path in paths])
    return inside.min(), inside.max()


def test_matrices():
    matrices = RNG.normal(size=(8, 2, 3))
    ax = plots.plot_matrices(matrices, names=(NAMES[:2], NAMES))
    [image], [top] = ax.images, ax.child_axes
    assert np.array_equal(image.get_array(), np.hstack(matrices[:6]))
    assert image.norm.vmax == -image.norm.vmin == np.abs(matrices[:6]).max()
    assert texts(ax.get_yticklabels()) == NAMES[:2]
    assert texts(ax.get_xticklabels()) == NAMES * 6
    assert texts(top.get_xticklabels()) == [f"lag {lag}" for lag in range(1, 7)]
    assert np.array_equal(top.get_xticks(), np.arange(6) * 3 + 1)
    assert [line.get_xdata()[0] for line in ax.lines] == [2.5, 5.5, 8.5, 11.5, 14.5]
    assert "1 to 6 of 8" in ax.get_xlabel()


def test_matrices_of_many_series_name_some():
    ax = plots.plot_matrices(np.zeros((2, 60, 60)))
    assert len(ax.get_xticks()) < 100
    assert texts(ax.get_xticklabels()) == [f"y{tick % 60}" for tick in ax.get_xticks()]
    assert ax.images[0].norm.vmax == 1


@pytest.mark.parametrize("index", [QUARTERS, DATES, DATES.tz_localize("UTC"), None])
def test_entry(index):
    values, truth = RNG.normal(size=(2, 60))
    ax = plots.plot_entry(values, index, truth=truth, label="Income, lag 1")
    path, true, zero = ax.lines
    times = np.arange(60) if index is None else date2num(DATES)
    assert np.array_equal(path.get_xydata(), np.column_stack([times, values]))
    assert np.array_equal(true.get_ydata(), truth)
    assert (true.get_linestyle(), path.get_label()) == ("--", "Income, lag 1")
    assert list(zero.get_ydata()) == [0, 0]
    assert plots.plot_entry(-values, index, ax=ax) is ax
    assert ax.lines[3].get_color() != path.get_color()


def test_influence():
    strengths = [[9.0, 1.0, 0.05], [0.5, 9.0, 0.0], [0.1, 0.02, 9.0]]
    influence = pd.DataFrame(strengths, NAMES, NAMES)
    influence.attrs["label"] = "average over 180 windows"
    ax = plots.plot_connectedness(influence)
    arrows = arrows_of(ax)
    places = {t.get_text(): np.array(t.get_position()) / 1.1 for t in ax.texts[:3]}
    assert list(places) == NAMES
    widths = sorted(arrow.arrow_patch.get_linewidth() for arrow in arrows)
    assert np.allclose(widths, [0.8, 2.0, 3.5])
    [strongest] = [a for a in arrows if a.arrow_patch.get_alpha() == 1]
    assert np.allclose(strongest.xyann, places["Savings"], atol=1e-6)
    assert np.allclose(strongest.xy, places["Income"], atol=1e-6)
    assert "2 links below 10% of it left out" in ax.get_xlabel()
    assert ax.get_title() == "average over 180 windows"
    assert len(arrows_of(plots.plot_connectedness(influence, threshold=0))) == 5
    assert not arrows_of(plots.plot_connectedness(influence * 0))


def test_irf():
    irf = tidy("horizon", "shock", "response", "value")
    irf = irf.assign(lower=irf["value"] - 1, upper=irf["value"] + 2)
    irf.attrs["coverage"] = 0.9
    axes = plots.plot_irf(irf[::-1], shocks=NAMES[:2], responses=NAMES)
    assert axes.shape == (3, 2)
    assert [panel.get_ylabel() for panel in axes[:, 0]] == NAMES
    assert [panel.get_title().removesuffix("\nshock") for panel in axes[0]] == NAMES[:2]
    part = irf[(irf["shock"] == "Savings") & (irf["response"] == "Output")]
    path, zero = axes[2, 1].lines
    assert np.array_equal(path.get_xydata(), part[["horizon", "value"]])
    assert list(zero.get_ydata()) == [0, 0]
    corners = set(map(tuple, axes[2, 1].collections[0].get_paths()[0].vertices))
    for side in ("lower", "upper"):
        assert set(zip(part["horizon"], part[side], strict=True)) <= corners
    assert axes[2, 0].get_ylim() == axes[2, 1].get_ylim() != axes[0, 0].get_ylim()
    labels = ["impulse response", "90% band"]
    assert legend_of(axes) == ("window ending 2008Q3", labels)


def test_impulse_responses_of_many_series_are_the_strongest():
    names = [f"y{i}" for i in range(20)]
    keys = pd.MultiIndex.from_product([range(3), names, names])
    irf = keys.to_frame(index=False, name=["horizon", "shock", "response"])
    irf["value"] = (irf["shock"] == irf["response"]) * 1.0
    # y3 moves some, y15 follows some, in units of its own.
    irf.loc[(irf["shock"] == "y3") & (irf["response"] > "y6"), "value"] = 0.5
    irf.loc[(irf["response"] == "y15"), "value"] *= 1e-3
    irf.loc[(irf["response"] == "y15") & (irf["shock"] < "y12"), "value"] = 4e-4
    axes = plots.plot_irf(irf)
    drawn = [panel.get_ylabel() for panel in axes[:, 0]]
    assert len(drawn) == 6
    assert {"y3", "y15"} < {*drawn}
    assert drawn == [panel.get_title().removesuffix("\nshock") for panel in axes[0]]
    title = legend_of(axes)[0]
    assert "6 of 20 series" in title
    assert "plot_irf" in title
    axes = plots.plot_irf(irf, shocks=["y7", "y3"])
    assert axes.shape == (6, 2)
    assert plots.plot_irf(irf, shocks=["y7"], responses=names[:9]).shape == (9, 1)


def test_only_the_strongest_of_many_links_are_drawn():
    names = [f"y{i}" for i in range(20)]
    links = RNG.permutation(np.arange(400.0)).reshape(20, 20)
    ax = plots.plot_connectedness(pd.DataFrame(links, names, names), threshold=0)
    strengths = np.sort(links[~np.eye(20, dtype=bool)])
    assert len(arrows_of(ax)) == 40
    share = 100 * strengths[-40] / strengths[-1]
    assert f"links below {share:.3g}% of it left out" in ax.get_xlabel()


LONG = [
    "Gross domestic product, seasonally adjusted, chained volumes",
    "Unemployment among persons aged 25 to 54",
    "an_identifier_without_any_spaces_at_all_of_2024",
]
LEVELS = pd.MultiIndex.from_product([["north", "south"], ["load", "price"]])


@pytest.mark.parametrize("names", [["GDP"], LONG, LEVELS], ids=["one", "long", "pairs"])
def test_nothing_is_cut_off(names):
    """All lies within the figure, whatever series are called."""
    table = pd.DataFrame(RNG.normal(size=(60, len(names))), QUARTERS, names)
    fitted = LinearAttentionVAR(2, n_layers=0).fit(table, fh=[1, 2, 3])
    ends = fitted.predict_interval(coverage=[0.5, 0.9])
    var, forecast = fitted.var_coefficients(), fitted.predict()
    drawn = [
        plots.plot_forecast(table, forecast, ends),
        var.plot_irf(),
        var.plot_fevd(),
        var.plot_decomposition(),
        var.plot_connectedness(),
        var.plot_matrices(),
    ]
    for axes in drawn:
        figure = np.ravel(axes)[0].figure
        figure.canvas.draw()
        # In inches: what is drawn, and the page.
        used = figure.get_tightbbox(figure.canvas.get_renderer())
        page = figure.bbox_inches.padded(0.02)
        assert all(page.contains(*corner) for corner in used.corners())
    for panel, (_, path) in zip(drawn[0], forecast.items(), strict=True):
        assert np.array_equal(panel.lines[1].get_ydata()[1:], path)


def test_fevd():
    fevd = tidy("horizon", "response", "shock", "share")
    size = fevd["share"].abs()
    fevd["share"] = size / size.groupby([fevd["horizon"], fevd["response"]]).transform(
        "sum"
    )
    for table in (fevd, fevd[fevd["horizon"] == 1]):
        axes = plots.plot_fevd(table)
        assert [panel.get_title(loc="left") for panel in axes] == NAMES
        assert legend_of(axes) == ("window ending 2008Q3", NAMES)
        for panel in axes:
            for horizon in table["horizon"].unique():
                assert np.allclose(span(panel, horizon), (0, 1))


def test_decomposition():
    table = tidy("time", "response", "shock", "value", QUARTERS)
    baseline = table[table["shock"] == "Income"].assign(shock="baseline")
    axes = plots.plot_decomposition(pd.concat([table, baseline]))
    for name, panel in zip(NAMES, axes, strict=True):
        parts = table[table["response"] == name]
        parts = parts.pivot(index="time", columns="shock", values="value")
        assert np.allclose(panel.lines[0].get_ydata(), parts.sum(axis=1))
        drawn = [span(panel, time) for time in date2num(DATES)]
        below, above = parts.clip(upper=0).sum(axis=1), parts.clip(lower=0).sum(axis=1)
        assert np.allclose(drawn, np.column_stack([below, above]))
    assert legend_of(axes)[1] == [*NAMES, "series minus baseline"]


@pytest.mark.parametrize("index", [QUARTERS, DATES, pd.RangeIndex(60)])
def test_forecast(index):
    table = pd.DataFrame(RNG.normal(size=(60, 3)), index, NAMES)
    forecast = table[50:][["Savings", "Income"]]
    bounds = {
        (name, coverage, side): forecast[name] + sign * coverage
        for name in forecast
        for coverage in (0.5, 0.9)
        for side, sign in (("upper", 1), ("lower", -1))
    }
    axes = plots.plot_forecast(table[:50], forecast, pd.DataFrame(bounds))
    assert [panel.get_title(loc="left") for panel in axes] == ["Savings", "Income"]
    for name, panel in zip(forecast, axes, strict=True):
        observed, path = panel.lines
        assert np.array_equal(observed.get_ydata(), table[name][10:50])
        assert np.array_equal(path.get_ydata(), table[name][49:])
        assert path.get_xdata()[0] == observed.get_xdata()[-1]
        wide, narrow = panel.collections
        for band, coverage in ((wide, 0.9), (narrow, 0.5)):
            drawn = set(band.get_paths()[0].vertices[:, 1])
            assert {*forecast[name] + coverage, *forecast[name] - coverage} <= drawn
        assert wide.get_alpha() < narrow.get_alpha()
    labels = ["observed", "forecast", "90% interval", "50% interval"]
    assert legend_of(axes)[1] == labels
    [panel] = plots.plot_forecast(table["Income"], forecast["Income"], n_history=20)
    assert np.array_equal(panel.lines[0].get_ydata(), table["Income"][-20:])


def test_training():
    ax = plots.plot_training([3.0, 2.0, 1.0], [-4.0, -2.5, -1.5, -1.75])
    loss, error, best = (line.get_xydata().tolist() for line in ax.lines)
    assert loss == [[1, 3], [2, 2], [3, 1]]
    assert error == [[0, 4], [1, 2.5], [2, 1.5], [3, 1.75]]
    assert best == [[2, 1.5]]
    kept = plots.plot_training([3.0], [-4.0, -2.5], best_epoch=0).lines[2]
    assert kept.get_xydata().tolist() == [[0, 4]]
    assert len(plots.plot_training([1.0], []).lines) == 1


IRF = tidy("horizon", "shock", "response", "value")


def test_given_axes_are_used(monkeypatch):
    figure = matplotlib.figure.Figure(figsize=(9, 9))
    grid = figure.subplots(4, 3)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    assert (plots.plot_irf(IRF, ax=grid[:3]) == grid[:3]).all()
    shares = IRF.rename(columns={"value": "share"})
    assert (plots.plot_fevd(shares, ax=grid[3]) == grid[3]).all()
    assert all(panel.lines or panel.collections for panel in grid.flat)
    assert not figure.legends
    with pytest.raises(ImportError, match=r'pip install "skvar\[plots\]"'):
        plots.plot_training([1.0])


FRAME = pd.DataFrame(np.eye(3), QUARTERS[:3], NAMES)
BAD = {
    "names": (lambda: plots.plot_matrices(np.zeros((1, 3, 3)), names="ab"), "names"),
    "2-D": (lambda: plots.plot_matrices(np.eye(3)), "matrices of shape"),
    "truth": (lambda: plots.plot_entry([1.0], truth=[1.0, 2.0]), "truth"),
    "index": (lambda: plots.plot_entry([1.0], pd.Index(["a"])), "index is of"),
    "negative": (lambda: plots.plot_connectedness(-FRAME), r"shares\.abs"),
    "threshold": (lambda: plots.plot_connectedness(FRAME, threshold=2), "threshold=2"),
    "shock": (lambda: plots.plot_irf(IRF, shocks=["GDP"]), "shocks.*GDP.*Income"),
    "column": (lambda: plots.plot_fevd(IRF), "fevd.*share"),
    "axes": (lambda: plots.plot_irf(IRF, ax=np.zeros((2, 3))), r"\(3, 3\) Axes"),
    "series": (lambda: plots.plot_forecast(FRAME[["Income"]], FRAME), "Savings"),
    "bands": (lambda: plots.plot_forecast(FRAME, FRAME, FRAME), "intervals"),
    "untrained": (lambda: plots.plot_training([]), "not trained.*n_layers=0"),
    "scores": (lambda: plots.plot_training([1.0], [1.0]), "validation_scores"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    draw, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        draw()


def test_benchmark_shows_means_by_data_and_horizon():
    rows = [
        (data, estimator, horizon, seed, error * horizon + seed / 10)
        for data in ("first", "second")
        for estimator, error in (("worse", 2.0), ("failed", np.nan), ("better", 1.0))
        for horizon in (1, 5)
        for seed in (0, 1)
    ]
    columns = ["data", "estimator", "horizon", "seed", "MAE"]
    results = pd.DataFrame(rows, columns=columns)
    axes = plots.plot_benchmark(results, measure="MAE")
    assert [ax.get_title(loc="left") for ax in axes] == ["first", "second"]
    for ax in axes:
        assert ax.get_xlabel() == "MAE"
        shown = {line.get_label(): line for line in ax.lines}
        for horizon in (1, 5):
            x, y = shown[str(horizon)].get_data()
            found = dict(zip(y, x, strict=True))
            assert found["worse"] == pytest.approx(2 * horizon + 0.05)
            assert found["better"] == pytest.approx(horizon + 0.05)
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert labels.index("better") > labels.index("worse")  # on top
        assert labels.index("failed") < labels.index("worse")
    partly = results[(results["data"] == "first") & (results["estimator"] != "failed")]
    lost = (partly["estimator"] == "better") & (partly["seed"] == 1)
    partly = partly.assign(MAE=partly["MAE"].where(~lost))
    [ax] = plots.plot_benchmark(partly, measure="MAE")
    assert ax.get_yticklabels()[0].get_text() == "better"
    given = plots.plot_benchmark(
        results[results["data"] == "first"], measure="MAE", ax=axes[0]
    )
    assert given[0] is axes[0]
