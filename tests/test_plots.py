"""What the plots draw, against the numbers they are given."""

import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest

from skvar import plots

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

RNG = np.random.default_rng(0)
NAMES = ["Income", "Savings", "Output"]
QUARTERS = pd.period_range("2000Q1", periods=60, freq="Q")


@pytest.fixture(autouse=True)
def closed_figures():
    before = dict(matplotlib.rcParams)
    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()  # warnings of the layout are errors
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


def tidy(first, second, third, value, firsts=range(1, 9)):
    index = pd.MultiIndex.from_product([firsts, NAMES, NAMES])
    table = index.to_frame(name=[first, second, third]).reset_index(drop=True)
    table.attrs["label"] = "window ending 2008Q3"
    return table.assign(**{value: RNG.normal(size=len(table))})


def legend_of(axes):
    figure = np.ravel(axes)[0].figure
    [legend] = figure.legends
    return legend.get_title().get_text(), [t.get_text() for t in legend.get_texts()]


def heights(panel, at):
    """Lowest and highest of the areas over a time."""
    inside = [
        y
        for area in panel.collections
        for path in area.get_paths()
        for x, y in path.vertices
        if abs(x - at) < 0.5
    ]
    return min(inside), max(inside)


def test_matrices():
    matrices = RNG.normal(size=(8, 2, 3))
    ax = plots.plot_matrices(matrices, names=(NAMES[:2], NAMES))
    [image] = ax.images
    assert np.array_equal(image.get_array(), np.hstack(matrices[:6]))
    assert image.norm.vmax == -image.norm.vmin == np.abs(matrices[:6]).max()
    assert [t.get_text() for t in ax.get_yticklabels()] == NAMES[:2]
    assert [t.get_text() for t in ax.get_xticklabels()] == NAMES * 6
    [top] = ax.child_axes
    assert [t.get_text() for t in top.get_xticklabels()] == [
        f"lag {lag}" for lag in range(1, 7)
    ]
    assert np.array_equal(top.get_xticks(), np.arange(6) * 3 + 1)
    assert "1 to 6 of 8" in ax.get_xlabel()
    assert [line.get_xdata()[0] for line in ax.lines] == [2.5, 5.5, 8.5, 11.5, 14.5]


def test_matrices_of_many_series_name_some():
    ax = plots.plot_matrices(np.zeros((2, 60, 60)))
    ticks, labels = ax.get_xticks(), [t.get_text() for t in ax.get_xticklabels()]
    assert len(ticks) < 100
    assert labels == [f"y{tick % 60}" for tick in ticks]
    assert ax.images[0].norm.vmax == 1


@pytest.mark.parametrize("kind", ["periods", "dates", "zone", "integers"])
def test_entry(kind):
    dates = QUARTERS.to_timestamp()
    index = {"periods": QUARTERS, "dates": dates, "zone": dates.tz_localize("UTC")}
    values, truth = RNG.normal(size=(2, 60))
    ax = plots.plot_entry(values, index.get(kind), truth=truth, label="Income, lag 1")
    path, true, zero = ax.lines
    times = np.arange(60) if kind == "integers" else plt.matplotlib.dates.date2num(dates)
    assert np.array_equal(path.get_xdata(), times)
    assert np.array_equal(path.get_ydata(), values)
    assert np.array_equal(true.get_ydata(), truth)
    assert (true.get_linestyle(), path.get_label()) == ("--", "Income, lag 1")
    assert list(zero.get_ydata()) == [0, 0]
    assert plots.plot_entry(-values, index.get(kind), ax=ax) is ax
    assert ax.lines[3].get_color() != path.get_color()


def test_influence():
    strengths = [[9.0, 1.0, 0.05], [0.5, 9.0, 0.0], [0.1, 0.02, 9.0]]
    influence = pd.DataFrame(strengths, NAMES, NAMES)
    influence.attrs["label"] = "average over 180 windows"
    ax = plots.plot_influence(influence)
    arrows = [text for text in ax.texts if text.arrow_patch]
    names = {t.get_text(): np.array(t.xyann) / 1.1 for t in ax.texts if not t.arrow_patch}\
        if False else {t.get_text(): np.array(t.get_position()) / 1.1
                       for t in ax.texts if t not in arrows}
    assert list(names) == NAMES
    assert len(arrows) == 3
    [strongest] = [a for a in arrows if a.arrow_patch.get_alpha() == 1]
    assert np.allclose(strongest.xyann, names["Savings"], atol=1e-6)
    assert np.allclose(strongest.xy, names["Income"], atol=1e-6)
    widths = sorted(a.arrow_patch.get_linewidth() for a in arrows)
    assert np.allclose(widths, [0.8, 2.0, 3.5])
    assert "2 links below 10% of it left out" in ax.get_xlabel()
    assert ax.get_title() == "average over 180 windows"
    all_links = plots.plot_influence(influence, threshold=0)
    assert sum(bool(t.arrow_patch) for t in all_links.texts if hasattr(t, "arrow_patch")) == 5
