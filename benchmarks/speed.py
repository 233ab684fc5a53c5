"""Time and memory, on one thread, as a table of ratios; a second command draws them.

Times are medians, compared within one run. "materialised" is the plain definition of
linear attention, a running sum of outer products.

    python benchmarks/speed.py --save speed.csv
    python benchmarks/speed.py --draw speed.csv speed.png
"""

import argparse
import multiprocessing
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import small_data
import torch

import skvar._networks.samovar as samovar_module
from skvar import LinearAttentionVAR, SAMoVARForecaster
from skvar._networks.layers import roll_out
from skvar._training.inference import forecast
from skvar.datasets import fetch_ett
from skvar.nn import SAMoVAR, linear_attention

# The published network and training on ETTh1: batches of 32, its best epoch the fifth.
PAPER = {"n_layers": 3, "n_heads": 8, "d_model": 64}
PAPER_EPOCHS = 5
MONTH = 30 * 24
SLOWEST = 3.0


def median_seconds(function, repeats: int = 5) -> float:
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def training_step(form: str, lags=1024, horizon=96, n_series=7, batch=32, **sizes):
    """One step of AdamW on random data, as a function."""
    samovar_module.linear_attention = partial(linear_attention, form=form)
    network = SAMoVAR(lags=lags, horizon=horizon, n_series=n_series, **sizes)
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    window = torch.randn(batch, lags, n_series)
    target = torch.randn(batch, horizon, n_series)

    def step():
        optimiser.zero_grad()
        sum(network.losses(window, target).values()).backward()
        optimiser.step()

    return step


def extra_memory(form: str) -> float:
    """Mebibytes that a step adds to the peak of this process; on Linux."""
    torch.set_num_threads(1)
    training_step(form, batch=1, **PAPER)()
    step = training_step(form, **PAPER)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak_memory()
    step()
    return peak_memory() - before


def peak_memory() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def steps(values: np.ndarray):
    """A training step of the published network against the materialised form."""
    seconds, memory = {}, {}
    for form in ("materialised", "auto"):
        seconds[form] = median_seconds(training_step(form, **PAPER), 9)
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            memory[form] = fresh.apply(extra_memory, [form])
    yield "training step", "materialised", seconds["materialised"], 1.0
    ratio = seconds["auto"] / seconds["materialised"]
    yield "training step", "skvar", seconds["auto"], ratio
    ratio = memory["auto"] / memory["materialised"]
    yield "training step, MiB", "materialised", memory["materialised"], 1.0
    yield "training step, MiB", "skvar", memory["auto"], ratio


def fits(values: np.ndarray):
    """Time of a fit against the published training with the materialised form."""
    windows = 12 * MONTH - 1024 - 96 + 1
    n_steps = PAPER_EPOCHS * -(-windows // 32)
    paper = n_steps * median_seconds(training_step("materialised", **PAPER), 9)
    yield "fit, horizon 96", "published, up to its best epoch", paper, 1.0
    samovar_module.linear_attention = linear_attention
    known = values[: 16 * MONTH]
    settings = {
        "closed form": {"n_layers": 0},
        "defaults without retraining": {"retrain": False},
        "defaults": {},
    }
    for name, options in settings.items():
        model = SAMoVARForecaster(720, horizon=96, validation_fraction=0.25, **options)
        start = time.perf_counter()
        model.set_params(random_state=0).fit(known)
        seconds = time.perf_counter() - start
        yield "fit, horizon 96", name, seconds, seconds / paper


def attention(values: np.ndarray):
    """Forward and backward passes of every form, until one takes too long."""
    forms = ["materialised", "parallel", "chunked", "recurrent", "auto"]
    for n_tokens in 2 ** np.arange(5, 17):
        tokens = [torch.randn(2, n_tokens, 4, 32, requires_grad=True) for _ in range(3)]

        def run(form, tokens=tokens):
            linear_attention(*tokens, form=form)[0].sum().backward()

        plain = np.nan
        for form in list(forms):
            seconds = median_seconds(partial(run, form), 3)
            if form == "materialised":
                plain = seconds
            yield f"attention, {n_tokens} tokens", form, seconds, seconds / plain
            # The next length takes at least twice as long.
            if seconds > SLOWEST:
                forms.remove(form)


def latency(values: np.ndarray):
    """One window through the fast path of an estimator against the bare network."""
    known = values[: 4 * MONTH]
    for model in (
        SAMoVARForecaster(720, horizon=96, max_epochs=1, early_stopping=False),
        LinearAttentionVAR(4, max_epochs=1, early_stopping=False),
    ):
        network = model.set_params(random_state=0).fit(known).network_
        window = torch.zeros(1, network.lags, 7).to(next(network.parameters()))
        with torch.inference_mode():
            bare = median_seconds(partial(roll_out, network, window, 1), 101)
        name = f"one window, {type(model).__name__}"
        yield name, "bare network", bare, 1.0
        push = median_seconds(partial(model.stream().push, values[0]), 101)
        yield name, "stream().push", push, push / bare
        table = values[: network.lags]
        predict = median_seconds(partial(model.predict, table), 101)
        yield name, "predict(table)", predict, predict / bare


def backtest(values: np.ndarray):
    """Forecasts after every test window of ETTh1 against the network on all of them."""
    model = SAMoVARForecaster(1024, horizon=96, max_epochs=1, early_stopping=False)
    network = model.set_params(random_state=0).fit(values[: 4 * MONTH]).network_
    table = values[16 * MONTH - 1024 : 20 * MONTH - 96]
    rows = torch.from_numpy(np.ascontiguousarray(table, dtype=np.float32))

    def bare():
        for windows in rows.unfold(0, 1024, 1).mT.split(256):
            forecast(network, windows, 96)

    bare = median_seconds(bare, 3)
    rolling = median_seconds(partial(model.rolling_forecast, table), 3)
    yield "backtest of 2785 origins", "bare network", bare, 1.0
    yield "backtest of 2785 origins", "rolling_forecast", rolling, rolling / bare


def sizes(values: np.ndarray):
    """A training step of the default network by series and by rows of the window."""
    default = {"n_layers": 1, "n_heads": 4, "d_model": 32, "scaled": True}
    first = None
    for n_series in (7, 21, 64, 137, 321, 862):
        step = training_step("auto", 512, n_series=n_series, batch=4, **default)
        seconds = median_seconds(step, 3)
        first = first or seconds
        yield f"step, {n_series} series", "skvar", seconds, seconds / first
    first = None
    for lags in 2 ** np.arange(9, 14):
        seconds = median_seconds(training_step("auto", int(lags), **default), 3)
        first = first or seconds
        yield f"step, {lags} rows", "skvar", seconds, seconds / first


def small(values: np.ndarray):
    """Scaled errors of the backtest on few rows, over that of a VAR(1)."""
    table = small_data.backtest().set_index("forecaster")["scaled error"]
    for name, error in table.items():
        yield "US changes, scaled error", name, error, error / table["VAR(1)"]


def imports(values: np.ndarray):
    """What `import skvar` adds to the imports that everybody has."""
    usual = "import numpy, pandas, sklearn"
    seconds = {
        code: median_seconds(
            lambda code=code: subprocess.run([sys.executable, "-c", code], check=True)
        )
        for code in (usual, f"{usual}, skvar")
    }
    first = seconds[usual]
    for code, value in seconds.items():
        yield "import", code, value, value / first


PARTS = {
    part.__name__: part
    for part in (steps, fits, attention, latency, backtest, small, sizes, imports)
}


def measure(parts: list[str]) -> pd.DataFrame:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    values = fetch_ett().standardised().to_numpy()
    rows = []
    for part in parts:
        for row in PARTS[part](values):
            print(f"{row[0]:<32} {row[1]:<38} {row[2]:>12.5g} {row[3]:>9.3f} x")
            rows.append(row)
    return pd.DataFrame(rows, columns=["what", "of", "value", "ratio"])


def draw(table: pd.DataFrame, path: str) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    pattern = r"(?P<kind>attention|step), (?P<size>\d+) (?P<unit>\w+)"
    parts = table.join(table["what"].str.extract(pattern)).dropna(subset=["kind"])
    parts = parts.assign(size=parts["size"].astype(int))
    for form, rows in parts[parts["kind"] == "attention"].groupby("of", sort=False):
        style = {"color": "black", "ls": ":"} if form == "auto" else {}
        axes[0].loglog(rows["size"], rows["value"], marker=".", label=form, **style)
    axes[0].set(xlabel="tokens", ylabel="seconds, forward and backward")
    axes[0].legend(title="form of attention")
    for unit, rows in parts[parts["kind"] == "step"].groupby("unit", sort=False):
        label = {"rows": "rows of the window, 7 series, batches of 32"}.get(
            unit, "series, 512 rows, batches of 4"
        )
        axes[1].loglog(rows["size"], rows["value"], marker="o", label=label)
    axes[1].set(xlabel="series or rows", ylabel="seconds of a training step")
    axes[1].legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--save", help="CSV file for the table")
    parser.add_argument("--draw", nargs=2, metavar=("CSV", "PNG"))
    args = parser.parse_args()
    if args.draw:
        draw(pd.read_csv(args.draw[0]), args.draw[1])
        return
    table = measure(args.parts)
    if args.save:
        table.to_csv(args.save, index=False)


if __name__ == "__main__":
    main()
