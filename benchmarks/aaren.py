"""Aaren against a Transformer of the same size with a cache of keys and values.

What Feng et al. (2024, arXiv:2405.13956) compare. "cost": time and memory of a new
token after N others, of N tokens one by one, and of a training pass on N of them; times
are medians, compared within one run. "forecasting": test errors on ETTh1, on the
rows of skvar.benchmark. "classification": accuracies on series that sktime brings, in
whole and in part, with the nearest neighbour by dynamic time warping.

    python benchmarks/aaren.py --parts cost classification --save aaren.csv
    python benchmarks/aaren.py --parts forecasting
    python benchmarks/aaren.py --draw aaren.csv docs/aaren.png
"""

import argparse
import math
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sktime.classification.distance_based import KNeighborsTimeSeriesClassifier
from sktime.datasets import (
    load_basic_motions,
    load_italy_power_demand,
    load_japanese_vowels,
)
from sktime.dists_kernels._numba_distances import distance_factory
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from skvar import AarenClassifier, AarenForecaster
from skvar._forecasting.forecaster import state_of
from skvar._models.classification import AarenClassifierSpecification
from skvar._models.families import AarenSpecification
from skvar.datasets import fetch_ett
from skvar.nn import Aaren

# Powers of two just fill the Transformer's cache: its memory is the least there.
N_TOKENS = [256, 1000, 1024, 2048, 4096, 8192, 16384]
REFERENCE = 1000
N_TRAINED = [64, 256, 1024, 4096, 16384]
TOKEN_LENGTH, LAGS = 24, 512
SHARES = [0.25, 0.5, 0.75, 1.0]
DATASETS = {
    "BasicMotions": load_basic_motions,
    "ItalyPowerDemand": load_italy_power_demand,
    "JapaneseVowels": load_japanese_vowels,
}


class Cache(NamedTuple):
    """Keys and values (B, H, capacity, d) of a layer, of which the first n are used."""

    keys: Tensor
    values: Tensor
    n: int

    def append(self, keys: Tensor, values: Tensor) -> "Cache":
        # In place, into buffers that double when full: joining tensors would copy all
        # of the past at each step. Of two states that go on from one, the later
        # overwrites what the earlier has added. For inference alone.
        n, capacity = self.n + keys.shape[2], self.keys.shape[2]
        buffers = self.keys, self.values
        if n > capacity:
            buffers = [self._grown(x, max(n, 2 * capacity)) for x in buffers]
        for buffer, new in zip(buffers, (keys, values), strict=True):
            buffer[:, :, self.n : n] = new
        return Cache(*buffers, n)

    def _grown(self, buffer: Tensor, capacity: int) -> Tensor:
        grown = buffer.new_empty(*buffer.shape[:2], capacity, buffer.shape[3])
        grown[:, :, : self.n] = buffer[:, :, : self.n]
        return grown


class CausalTransformer(nn.Module):
    """A pre-norm Transformer used like `skvar.nn.Aaren`; its state grows."""

    def __init__(
        self, d_model: int, n_heads: int, *, n_layers: int = 1, dropout: float = 0.0
    ):
        super().__init__()
        self.layers = nn.ModuleList(
            CausalLayer(d_model, n_heads, dropout) for _ in range(n_layers)
        )

    def forward(
        self, sequence: Tensor, state: tuple[Cache, ...] | None = None
    ) -> tuple[Tensor, tuple[Cache, ...]]:
        caches = []
        for layer, before in zip(
            self.layers, state or [None] * len(self.layers), strict=True
        ):
            sequence, cache = layer(sequence, before)
            caches.append(cache)
        return sequence, tuple(caches)


class CausalLayer(nn.Module):
    """Attention and feed-forward block, each with a residual."""

    def __init__(self, d_model: int, n_heads: int, dropout: float):
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(d_model)
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(d_model),
            nn.Linear(d_model, 4 * d_model),
            nn.GELU(),
            nn.Linear(4 * d_model, d_model),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, cache: Cache | None) -> tuple[Tensor, Cache]:
        u = self.norm(x)
        q, k, v = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in (self.query(u), *self.key_value(u).chunk(2, dim=-1))
        )
        n = k.shape[2]
        if cache is None:
            cache = Cache(k, v, n)
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            cache = cache.append(k, v)
            seen = None
            if n > 1:
                seen = torch.ones(n, cache.n, dtype=torch.bool).tril(cache.n - n)
            past = (x[:, :, : cache.n] for x in cache[:2])
            out = F.scaled_dot_product_attention(q, *past, attn_mask=seen)
        x = x + self.dropout(self.out(out.transpose(1, 2).flatten(2)))
        return x + self.feed_forward(x), cache


class WithPositions(nn.Module):
    """`CausalTransformer` on tokens plus learned positions, without a state."""

    def __init__(self, n_tokens: int, d_model: int, *args, **options):
        super().__init__()
        self.positions = nn.Parameter(0.02 * torch.randn(n_tokens, d_model))
        self.transformer = CausalTransformer(d_model, *args, **options)

    def forward(self, sequence: Tensor, state: None = None) -> tuple[Tensor, tuple]:
        tokens = sequence + self.positions[: sequence.shape[1]]
        return self.transformer(tokens)[0], ()


class TransformerSpecification(AarenSpecification):
    """Aaren with a Transformer in its place."""

    def network(self, n_series):
        """Build the network, untrained."""
        network = super().network(n_series)
        network.aaren = WithPositions(
            math.ceil(self.lags / network.token_length),
            self.d_model,
            self.n_heads,
            n_layers=self.n_layers,
            dropout=self.dropout,
        )
        return network


class TransformerForecaster(AarenForecaster):
    """`AarenForecaster` with a Transformer; forecasts after whole windows only."""

    _specification = TransformerSpecification


class TransformerClassifierSpecification(AarenClassifierSpecification):
    """Aaren with a Transformer in its place; tokens have their positions there."""

    def build(self, n_series, n_classes, longest):
        """Build the network, untrained."""
        network = super().build(n_series, n_classes, longest)
        network.aaren = CausalTransformer(
            self.d_model, self.n_heads, n_layers=self.n_layers, dropout=self.dropout
        )
        return network


class TransformerClassifier(AarenClassifier):
    """`AarenClassifier` with a Transformer."""

    _specification = TransformerClassifierSpecification


# cost


def networks(args) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    sizes = {"n_heads": args.n_heads, "n_layers": args.n_layers}
    return {
        "Aaren": Aaren(args.d_model, **sizes, timescale=args.timescale),
        "Transformer": CausalTransformer(args.d_model, **sizes),
    }


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def parameters(args) -> pd.DataFrame:
    """Parameters of both, and of torch's own layers."""
    layer = nn.TransformerEncoderLayer(
        args.d_model, args.n_heads, 4 * args.d_model, norm_first=True
    )
    counts = {name: n_parameters(x) for name, x in networks(args).items()}
    counts["nn.TransformerEncoderLayer"] = args.n_layers * n_parameters(layer)
    table = pd.DataFrame({"network": counts.keys(), "parameters": counts.values()})
    return table.assign(more=table["parameters"] - counts["nn.TransformerEncoderLayer"])


def held_bytes(state: tuple) -> int:
    """Memory that the tensors of a state keep, shared storage once."""
    storages = (
        part.untyped_storage()
        for layer in state
        for part in layer
        if isinstance(part, Tensor)
    )
    return sum({x.data_ptr(): x.nbytes() for x in storages}.values())


def stream(models: dict[str, nn.Module], tokens: list[Tensor], block: int = 128):
    """Tokens one by one, blocks of both networks in turns.

    Returns rows of the table, and the state before the last of N tokens.
    """
    state, before = dict.fromkeys(models), {}
    seconds, rows = dict.fromkeys(models, 0.0), []
    for first in tqdm(range(0, len(tokens), block), "tokens", leave=False):
        for name, network in models.items():
            for n, token in enumerate(tokens[first : first + block], first + 1):
                if n in N_TOKENS:
                    before[name, n] = state[name]
                start = time.perf_counter()
                _, state[name] = network(token, state[name])
                seconds[name] += time.perf_counter() - start
                if n in N_TOKENS:
                    rows.append((name, n, seconds[name], held_bytes(state[name])))
    return pd.DataFrame(rows, columns=["network", "N", "cumulative", "bytes"]), before


def step_times(models, before: dict, token: Tensor, rounds: int) -> dict:
    """Median time of the last of N tokens: networks and N in turns, in random order.

    The first of four steps is not timed: it brings the state into the processor's
    cache, where it is when tokens come one after the other.
    """
    rng, cases = np.random.default_rng(0), list(before)
    times = {case: [] for case in cases}
    for _ in tqdm(range(rounds), "steps", leave=False):
        for name, n in (cases[i] for i in rng.permutation(len(cases))):
            network, state = models[name], before[name, n]
            network(token, state)
            for _ in range(3):
                start = time.perf_counter()
                network(token, state)
                times[name, n].append(time.perf_counter() - start)
    return {case: float(np.median(some)) for case, some in times.items()}


def tokens_one_by_one(args) -> pd.DataFrame:
    """Time and memory by network and N."""
    models = {name: network.eval() for name, network in networks(args).items()}
    with torch.inference_mode():
        stream(models, list(torch.randn(200, 1, 1, args.d_model)))
        tokens = list(torch.randn(max(N_TOKENS), 1, 1, args.d_model))
        table, before = stream(models, tokens)
        times = step_times(models, before, tokens[0], args.rounds)
    keys = zip(table["network"], table["N"], strict=True)
    return table.assign(seconds=[times[key] for key in keys])


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each N."""
    wide = table.pivot(index="N", columns="network")
    columns = {}
    for name in ("Aaren", "Transformer"):
        seconds = wide["seconds", name]
        columns[f"{name} µs"] = (1e6 * seconds).round(1)
        columns[f"{name} / at {REFERENCE}"] = seconds / seconds[REFERENCE]
    for name, what in (("token", "seconds"), ("all", "cumulative")):
        columns[f"A / T, {name}"] = wide[what, "Aaren"] / wide[what, "Transformer"]
    for name in ("Aaren", "Transformer"):
        columns[f"{name} s, all"] = wide["cumulative", name]
        columns[f"{name} KiB"] = wide["bytes", name] / 1024
    return pd.DataFrame(columns).round(3).reset_index()


def training_passes(args, repeats: int = 5) -> pd.DataFrame:
    """Forward and backward pass on one sequence of N tokens, in turns."""
    models, rows = networks(args), []
    for n in tqdm(N_TRAINED, "training", leave=False):
        tokens = torch.randn(1, n, args.d_model)
        seconds = {name: [] for name in models}
        for _ in range(repeats + 1):
            for name, network in models.items():
                start = time.perf_counter()
                network(tokens)[0].sum().backward()
                seconds[name].append(time.perf_counter() - start)
        aaren, transformer = (np.median(some[1:]) for some in seconds.values())
        rows.append((n, 1e3 * aaren, 1e3 * transformer, aaren / transformer))
    columns = ["N", "Aaren ms", "Transformer ms", "A / T, training"]
    return pd.DataFrame(rows, columns=columns).round(3)


def cost(args) -> list[pd.DataFrame]:
    table = tokens_one_by_one(args)
    if args.save:
        table.to_csv(args.save, index=False)
    return [parameters(args), ratios(table), training_passes(args)]


def draw(table: pd.DataFrame, path: str) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    table = table[table["N"] != REFERENCE]
    panels = {
        "time of the N-th token, ms": table["seconds"] * 1e3,
        "time of N tokens one by one, s": table["cumulative"],
        "memory of the state, KiB": table["bytes"] / 1024,
    }
    colours = {"Aaren": "tab:blue", "Transformer": "tab:orange"}
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 3.4), layout="constrained")
    for ax, (title, values) in zip(axes, panels.items(), strict=True):
        for name, colour in colours.items():
            own = table["network"] == name
            n, y = table["N"][own], values[own]
            ax.loglog(n, y, marker="o", markersize=4, color=colour)
            ax.annotate(
                name,
                (n.iloc[-1], y.iloc[-1]),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=colour,
            )
        ax.set(title=title, xlabel="tokens N")
        ax.set_xticks([256, 1024, 4096, 16384], ["256", "1,024", "4,096", "16,384"])
        ax.xaxis.minorticks_off()
        few = values.max() / values.min() < 20
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(y=0.1)
    figure.savefig(path, dpi=120)


# forecasting


def after_windows(forecaster, values: np.ndarray) -> np.ndarray:
    """Forecasts after every window, of which the network sees nothing before."""
    member = state_of(forecaster).single
    rows = forecaster.scaler_.transform(values)
    windows = np.lib.stride_tricks.sliding_window_view(rows, forecaster.lags, axis=0)
    parts = [
        member.model.inference.after_windows(
            some.swapaxes(1, 2).copy(), member.model.horizon
        )
        for some in np.array_split(windows, math.ceil(len(windows) / 256))
    ]
    return member.in_units(np.concatenate(parts))


def forecasting(args) -> list[pd.DataFrame]:
    data = fetch_ett()
    values, end = data.standardised().to_numpy(), data.validation_end
    kinds = {
        "Aaren": (AarenForecaster, {"static_path": None}),
        "Transformer": (TransformerForecaster, {"static_path": None}),
        "Aaren, default": (AarenForecaster, {}),
    }
    rows = []
    cases = [
        (horizon, name, seed)
        for horizon in args.horizons
        for name in kinds
        for seed in range(args.seeds)
    ]
    for horizon, name, seed in tqdm(cases, "fits", leave=False):
        estimator, options = kinds[name]
        forecaster = estimator(
            LAGS,
            horizon=horizon,
            token_length=TOKEN_LENGTH,
            validation_fraction=1 - data.training_end / end,
            random_state=seed,
            **options,
        )
        start = time.perf_counter()
        forecaster.fit(values[:end])
        seconds = time.perf_counter() - start
        truth = np.lib.stride_tricks.sliding_window_view(values[end:], horizon, axis=0)
        truth, known = truth.swapaxes(1, 2), values[:-horizon]
        forecasts = {"windows": after_windows(forecaster, known[end - LAGS :])}
        if name != "Transformer":
            streamed = forecaster.rolling_forecast(known)
            forecasts["all rows"] = streamed[end - LAGS :]
        for sees, forecast in forecasts.items():
            errors = forecast - truth
            rows.append(
                {
                    "horizon": horizon,
                    "forecaster": name,
                    "sees": sees,
                    "MSE": np.square(errors).mean(),
                    "MAE": np.abs(errors).mean(),
                    "static share": float(
                        getattr(forecaster.network_, "static_weight", 0.0)
                    ),
                    "best epoch": forecaster.best_epoch_,
                    "fit s": seconds,
                }
            )
    keys = ["horizon", "forecaster", "sees"]
    groups = pd.DataFrame(rows).groupby(keys, sort=False)
    means = groups.mean()
    means.insert(1, "spread of MSE", groups["MSE"].std())
    return [means.round(4).reset_index()]


# classification


def lengths(panel: pd.DataFrame) -> np.ndarray:
    return panel.iloc[:, 0].map(len).to_numpy()


@cache
def warping(*shapes: tuple[int, int]):
    """Sktime's distance of two series (C, n) of these shapes, made ready once."""
    return distance_factory(*map(np.zeros, shapes), metric="dtw")


def nearest_neighbour(known, labels, panel) -> np.ndarray:
    """Labels of the nearest known series, whose lengths may differ."""
    known, panel = (
        [np.stack([column.to_numpy() for column in row]) for row in table.to_numpy()]
        for table in (known, panel)
    )
    nearest = [
        np.argmin([warping(one.shape, x.shape)(one, x) for x in known])
        for one in tqdm(panel, "series", leave=False)
    ]
    return labels[nearest]


def warped(X, y, X_test) -> np.ndarray:
    """Labels by dynamic time warping and one neighbour."""
    if len({*lengths(X), *lengths(X_test)}) > 1:
        return nearest_neighbour(X, y, X_test)
    classifier = KNeighborsTimeSeriesClassifier(n_neighbors=1, distance="dtw")
    return classifier.fit(X, y).predict(X_test)


def accuracies(classifier, X, y) -> dict[str, float]:
    """After shares of each series, to the next row."""
    after_each = classifier.rolling_predict_proba(X)
    found = {}
    for share in SHARES:
        last = np.ceil(share * lengths(X)).astype(int) - 1
        best = after_each[np.arange(len(X)), last].argmax(axis=1)
        name = f"after {share:.0%}" if share < 1 else "accuracy"
        found[name] = (classifier.classes_[best] == y).mean()
    return found


def classification(args) -> list[pd.DataFrame]:
    kinds = {"Aaren": AarenClassifier, "Transformer": TransformerClassifier}
    rows = []
    cases = [("1-NN DTW", 0)]
    cases += [(name, seed) for name in kinds for seed in range(args.seeds)]
    for dataset, load in DATASETS.items():
        X, y = load(split="train", return_X_y=True)
        X_test, y_test = load(split="test", return_X_y=True)
        for name, seed in tqdm(cases, dataset, leave=False):
            start = time.perf_counter()
            if name in kinds:
                classifier = kinds[name](random_state=seed).fit(X, y)
                found = accuracies(classifier, X_test, y_test)
            else:
                found = {"accuracy": (warped(X, y, X_test) == y_test).mean()}
            seconds = time.perf_counter() - start
            rows.append({"set": dataset, "classifier": name, **found, "s": seconds})
    columns = ["accuracy", *(f"after {share:.0%}" for share in SHARES[:-1]), "s"]
    groups = pd.DataFrame(rows).groupby(["set", "classifier"], sort=False)
    means = groups[columns].mean()
    means.insert(1, "spread", groups["accuracy"].std())
    return [means.round(4).reset_index()]


PARTS = {part.__name__: part for part in (cost, forecasting, classification)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--horizons", nargs="+", type=int, default=[336])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--d-model", type=int, default=64, help="for cost")
    parser.add_argument("--n-heads", type=int, default=4, help="for cost")
    parser.add_argument("--n-layers", type=int, default=2, help="for cost")
    parser.add_argument("--timescale", type=float, help="Aaren's decay, for cost")
    parser.add_argument("--rounds", type=int, default=500, help="of steps, for cost")
    parser.add_argument("--save", help="CSV file for what --draw draws, of cost")
    parser.add_argument("--draw", nargs=2, metavar=("CSV", "PNG"))
    args = parser.parse_args()
    if args.draw:
        draw(pd.read_csv(args.draw[0]), args.draw[1])
        return
    torch.set_num_threads(1)
    for part in args.parts:
        start = time.perf_counter()
        for table in PARTS[part](args):
            print(table.to_string(index=False, na_rep=""), end="\n\n")
        print(f"{part}: {time.perf_counter() - start:.0f} s", end="\n\n", flush=True)


if __name__ == "__main__":
    main()
