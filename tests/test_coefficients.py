"""Matrices out of networks: exact, whatever the way they are computed."""

import math

import numpy as np
import pytest
import torch

from skvar import LinearAttentionVARRegressor, SAMoVARForecaster
from skvar._data.windows import Windows
from skvar._forecasting.forecaster import state_of
from skvar._training.inference import forecast
from skvar._var import extraction as coefficients
from skvar._var.memory import with_peak_bytes
from skvar._var.tokens import influence_paths, token_var
from skvar.nn import LinearAttentionVAR, Readout, SAMoVAR, StaticPath


def perturbed(network, dtype=torch.float64, size=0.2):
    """A network whose parameters are not those of its start."""
    torch.manual_seed(0)
    network = network.to(dtype).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += size * torch.randn_like(parameter)
    return network


def samovar(lags=10, horizon=4, token_length=None, n_targets=None, **kwargs):
    sizes = {"n_series": 3, "n_layers": 3, "n_heads": 2, "d_model": 8} | kwargs
    torch.manual_seed(0)
    return perturbed(
        SAMoVAR(
            lags=lags,
            horizon=horizon,
            token_length=token_length,
            n_targets=n_targets,
            **sizes,
        )
    )


def windows(lags, n_windows=4, n_series=3):
    generator = torch.Generator().manual_seed(1)
    window = torch.randn(
        n_windows, lags, n_series, generator=generator, dtype=torch.float64
    )
    window[0, :, 1] = 2.0  # flat
    return window


def finite_differences(function, window, step=1e-6):
    """Slopes (B, p, o, i), newest row first, of function(window) (B, o)."""
    slopes = []
    for row in range(window.shape[1]):
        for series in range(window.shape[2]):
            nudge = torch.zeros_like(window)
            nudge[:, row, series] = step
            ends = function(window + nudge) - function(window - nudge)
            slopes.append(ends / (2 * step))
    shape = *window.shape[1:], *slopes[0].shape
    return torch.stack(slopes).reshape(shape).permute(2, 0, 3, 1).flip(1)


NETWORKS = {
    "samovar": samovar(),
    "padded": samovar(lags=7, token_length=3, n_targets=None),
    "long tokens": samovar(lags=14, horizon=3, token_length=7),
    "one row": samovar(lags=1, horizon=2),
    "fixed": samovar(predictor="fixed_var"),
    "fewer targets": samovar(lags=5, horizon=3, n_targets=2),
    "scaled": samovar(scaled_attention=True, n_layers=2),
    "mix": StaticPath(samovar(), lags=10, horizon=4, n_series=3).double(),
    "static": StaticPath(None, lags=6, horizon=4, n_series=3).double(),
    "mix with a VAR": StaticPath(
        samovar(), lags=10, horizon=4, n_series=3, order=2
    ).double(),
}
NETWORKS["centred on the last row"] = samovar()
NETWORKS["centred on the last row"].centre.copy_(torch.eye(4)[-1])
NETWORKS["mix with a VAR"].is_var.fill_(True)
for mixed in ("mix", "static", "mix with a VAR"):
    torch.manual_seed(3)
    NETWORKS[mixed].matrices.copy_(torch.randn_like(NETWORKS[mixed].matrices))
    matrices = NETWORKS[mixed].var.matrices
    matrices.copy_(0.3 * torch.randn_like(matrices))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("step", [1, 2, 6])
def test_local_var_is_the_finite_difference(name, step):
    network = NETWORKS[name]
    if step > 2 and name == "fewer targets":
        pytest.skip("forecasts of some series cannot be fed back")
    window = windows(network.lags)[1:]

    def ahead(window):
        return forecast(network, window, step)[:, step - 1]

    slopes, offset = coefficients.local_var(network, window, step)
    numeric = finite_differences(ahead, window)
    # Central differences of 1e-6 round to about 1e-16 / 1e-6 times the forecast.
    assert (slopes - numeric).abs().max() < 1e-7 * max(1, slopes.abs().max())
    rebuilt = offset + torch.einsum("bpoi,bpi->bo", slopes, window.flip(1))
    torch.testing.assert_close(rebuilt, ahead(window))


def test_local_var_of_a_flat_series_follows_the_rest():
    network, window = NETWORKS["samovar"], windows(10)
    slopes, _ = coefficients.local_var(network, window)
    assert slopes.isfinite().all()
    slopes_autograd, _ = coefficients._slope_by_autograd(network, window.clone(), 1)
    torch.testing.assert_close(slopes.flip(1), slopes_autograd)


def test_readout_adds_the_regression_to_what_it_reads():
    torch.manual_seed(0)
    network = perturbed(
        Readout(samovar(), lags=10, n_series=3, n_targets=2, start_at_zero=False)
    )
    network.static.matrices.copy_(torch.randn(10, 2, 3))
    network.static.intercept.copy_(torch.randn(2))
    window = windows(10)[1:]
    slopes, offset = coefficients.local_var(network, window)
    numeric = finite_differences(lambda x: forecast(network, x, 1)[:, 0], window)
    assert (slopes - numeric).abs().max() < 1e-7 * max(1, slopes.abs().max())
    rebuilt = offset + torch.einsum("bpoi,bpi->bo", slopes, window.flip(1))
    torch.testing.assert_close(rebuilt, forecast(network, window, 1)[:, 0])


def linear_attention_var(n_layers, lags=4, **kwargs):
    sizes = {"n_series": 3, "n_layers": n_layers, "n_heads": 2, "d_model": 8}
    torch.manual_seed(0)
    return perturbed(LinearAttentionVAR(lags=lags, **sizes, **kwargs))


@pytest.mark.parametrize("lags", [1, 4, 12])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_dynamic_var_is_linear_attention_as_written(n_layers, lags):
    network, window = linear_attention_var(n_layers, lags), windows(lags)
    matrices, intercept = coefficients.dynamic_var(network, window)
    # Keys move, queries and values stay: the definition of the matrices.
    weights = network.weights(window)
    numeric = finite_differences(lambda keys: network.apply_var(keys, weights), window)
    assert (matrices - numeric).abs().max() < 1e-7 * max(1, matrices.abs().max())
    rebuilt = intercept + torch.einsum("bpoi,bpi->bo", matrices, window.flip(1))
    torch.testing.assert_close(rebuilt, network(window)[:, 0])


@pytest.mark.parametrize("n_layers", [0, 1, 2])
@pytest.mark.parametrize("step", [1, 2, 4, 7])
def test_later_steps_chain_the_matrices(n_layers, step):
    network, window = linear_attention_var(n_layers), windows(4)
    if not n_layers:
        network.matrices.copy_(0.4 * torch.randn(4, 3, 3))
        network.intercept.copy_(torch.randn(3))
    matrices, intercept = coefficients.dynamic_var(network, window, step)
    rebuilt = intercept + torch.einsum("bpoi,bpi->bo", matrices, window.flip(1))
    torch.testing.assert_close(rebuilt, forecast(network, window, step)[:, -1])
    if not n_layers:  # then the chain is the Jacobian
        numeric = finite_differences(
            lambda x: forecast(network, x, step)[:, -1], window
        )
        torch.testing.assert_close(matrices, numeric, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("lags", [1, 3])
@pytest.mark.parametrize("n_targets", [2, 3])
def test_tracking_is_a_regression_of_the_errors(lags, n_targets):
    network = linear_attention_var(1, lags, tracking_rows=20, n_targets=n_targets)
    window = windows(lags + 20)
    window[1, :7] = window[1, 7]  # a past that was not observed
    window[2, 9] = 100.0  # an outlier
    tracker = network.tracker
    drift = network.drift(window).detach().numpy()
    matrices, intercept = (part.detach().numpy() for part in network.static_var())
    decay, penalties = tracker.decay.item(), tracker.penalties.detach().numpy()
    directions = (tracker.first_directions + tracker.directions).detach().numpy()
    flat, n_free = directions.reshape(2, -1).T, 3 * lags * n_targets
    for rows, found in zip(window.numpy(), drift, strict=True):
        gram = np.diag([*[penalties[0]] * n_free, *penalties[1:]])
        cross = np.zeros(n_free + 2)
        for t in range(lags, len(rows)):
            if (rows[: t + 1] == rows[0]).all():
                continue
            lagged = rows[t - lags : t][::-1]
            error = rows[t, -n_targets:] - intercept
            error = (error - np.einsum("loi,li->o", matrices, lagged)).clip(-5, 5)
            design = np.kron(np.eye(n_targets), lagged.ravel().clip(-5, 5))
            design = np.hstack([design, design @ flat])
            gram = gram + decay ** (len(rows) - t) * design.T @ design
            cross = cross + decay ** (len(rows) - t) * design.T @ error
        solved = np.linalg.solve(gram, cross)
        expected = tracker.total_gain.item() * (
            solved[:n_free] + flat @ solved[n_free:]
        )
        expected = expected.reshape(n_targets, lags, 3).swapaxes(0, 1)
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("step", [1, 3])
def test_tracked_matrices_give_the_forecast(step):
    network = linear_attention_var(2, lags=2, tracking_rows=9)
    window = windows(11)
    matrices, intercept = coefficients.dynamic_var(network, window, step)
    assert matrices.shape == (4, 2, 3, 3)
    recent = window[:, -2:].flip(1)
    rebuilt = intercept + torch.einsum("bpoi,bpi->bo", matrices, recent)
    torch.testing.assert_close(rebuilt, forecast(network, window, step)[:, -1])


def var_stage(network, window):
    """The network's own VAR at its main tokens (B, n_targets, n_segments, d_model)."""
    segments = network.normalise(window)[0]
    main = segments[:, -network.n_targets :]
    tokens = network.tokens(main, network.tokens.mixed(segments))
    return network.var(tokens).unflatten(0, (len(window), -1)).detach()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["samovar", "padded", "fixed", "fewer targets"])
def test_token_matrices_rebuild_the_var_stage(name, dtype):
    network = NETWORKS[name].to(dtype)
    window = windows(network.lags).to(dtype)
    try:
        outputs = var_stage(network, window)
        for segment in (-1, 0, 1):
            matrices, tokens = token_var(network, window, segment)
            rebuilt = tokens[:, :, -1] + torch.einsum(
                "btnhoi,btnhi->btho", matrices, tokens
            )
            error = (rebuilt.flatten(-2) - outputs[:, :, segment]).abs().max()
            tolerance = 1e-5 if dtype == torch.float32 else 1e-10
            assert error < tolerance * outputs[:, :, segment].abs().max()
    finally:
        network.double()


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
def test_paths_sum_to_the_token_matrices(n_layers):
    network = samovar(lags=6, horizon=2, n_layers=n_layers)
    window = windows(6)
    matrices, tokens = token_var(network, window)
    n_tokens = tokens.shape[2]
    total = torch.zeros_like(matrices)
    for depth in range(1, n_layers + 1):
        paths, left, right, _ = influence_paths(network, window, depth)
        assert len({tuple(path) for path in paths.tolist()}) == len(paths)
        for token in range(n_tokens):
            starts = paths[:, 0] == token
            # Non-decreasing ways of length depth - 1 from the token to the last.
            assert starts.sum() == math.comb(n_tokens - token + depth - 2, depth - 1)
            products = left[:, :, starts].unsqueeze(-1) * right[:, :, starts].unsqueeze(
                -2
            )
            total[:, :, token] += products.sum(dim=2)
    assert (total - matrices).abs().max() < 1e-10 * matrices.abs().max()


def test_too_many_paths_are_refused():
    network = samovar(lags=60, horizon=1, n_layers=4)
    with pytest.raises(ValueError, match="token_length"):
        influence_paths(network, windows(60), 4)


def test_strongest_paths_of_a_forecaster(us_change):
    forecaster = SAMoVARForecaster(
        8,
        horizon=2,
        n_layers=3,
        n_heads=8,
        d_model=64,
        max_epochs=1,
        random_state=0,
    )
    forecaster.fit(us_change)
    matrices, tokens = forecaster.token_var_matrices(
        us_change.iloc[:9], return_tokens=True
    )
    assert matrices.shape == (2, 5, 8, 8, 8, 8)
    assert tokens.shape == (2, 5, 8, 8, 8)
    first = forecaster.token_var_matrices(us_change.iloc[:9], segment=0)
    assert first.shape == (2, 5, 2, 8, 8, 8)
    with pytest.raises(ValueError, match="segment"):
        forecaster.token_var_matrices(us_change, segment=4)
    every = forecaster.influence_paths(us_change.iloc[:9], n_strongest=10**6)
    n_paths = sum(math.comb(7 + depth, depth) for depth in (1, 2, 3))
    assert len(every) == 2 * 5 * n_paths
    assert list(every["time"].unique()) == list(us_change.index[7:9])
    direct = every[(every["depth"] == 1) & (every["path"] == ("main-3",))]
    assert len(direct) == 10
    # Strengths and contributions from the matrices written out.
    windows = state_of(forecaster).windows(us_change.iloc[:8])
    window = windows[torch.arange(1)][0].float()
    network = forecaster.network_.network
    found = every[every["time"].eq(us_change.index[7]) & every["series"].eq("Savings")]
    labels = [f"{kind}-{i}" for i in (3, 2, 1, 0) for kind in ("context", "main")]
    for depth in (1, 2, 3):
        paths, left, right, x0 = influence_paths(network, window, depth)
        products = torch.einsum("phi,phj->phij", left[0, 3], right[0, 3]).numpy()
        added = np.einsum("phij,phj->phi", products, x0[0, 3, paths[:, 0]].numpy())
        table = found[found["depth"] == depth].set_index("path")
        names = [tuple(labels[token] for token in path) for path in paths.tolist()]
        ours = table.loc[names]
        np.testing.assert_allclose(
            ours["strength"], np.sqrt(np.square(products).sum((1, 2, 3))), rtol=1e-4
        )
        np.testing.assert_allclose(
            ours["contribution"],
            np.linalg.norm(added.reshape(len(added), -1), axis=1),
            rtol=1e-3,
        )
    few = forecaster.influence_paths(us_change.iloc[:9], n_strongest=3)
    assert len(few) == 30
    first = every[every["time"].eq(us_change.index[7]) & every["series"].eq("Income")]
    head = few[few["time"].eq(us_change.index[7]) & few["series"].eq("Income")]
    np.testing.assert_array_equal(head["strength"], first["strength"].nlargest(3))
    with pytest.raises(ValueError, match="n_layers"):
        forecaster.clone().set_params(n_layers=0).fit(us_change).token_var_matrices(
            us_change
        )


def test_steps_of_a_regressor(us_change):
    X, y = us_change.drop(columns="Consumption"), us_change["Consumption"]
    regressor = LinearAttentionVARRegressor(2, max_epochs=1, random_state=0)
    matrices, offsets = regressor.fit(X).var_matrices(X, step=3, return_intercept=True)
    rebuilt = offsets[-1] + np.einsum("loi,li->o", matrices[-1], X[-2:][::-1])
    np.testing.assert_allclose(rebuilt, regressor.forecast(X, 3)[-1], rtol=1e-5)
    with pytest.raises(ValueError, match="step=2"):
        regressor.fit(X, y).var_matrices(X, step=2)


def table_windows(network, n_windows=12):
    """Windows of three series, in float64."""
    values = np.random.default_rng(2).normal(size=(network.lags + n_windows - 1, 3))
    return Windows([values], network.lags, 0), torch.arange(n_windows)


def gathered(network, step=1):
    table, used = table_windows(network)
    return list(coefficients.matrices_of(network, table, used, step))


BATCHED = {
    "dynamic": linear_attention_var(2),
    "tracking": linear_attention_var(1, 2, tracking_rows=9),
    **{name: NETWORKS[name] for name in ("samovar", "mix", "mix with a VAR")},
}


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("name", BATCHED)
def test_batches_of_any_size_hold_the_same_matrices(name, step, monkeypatch):
    network = BATCHED[name]
    # The first window is measured on its own.
    large = gathered(network, step)
    assert [len(some) for some, _ in large] == [1, 11]
    monkeypatch.setattr(coefficients, "_MOST_BYTES", 1)
    small = gathered(network, step)
    assert [len(some) for some, _ in small] == [1] * 12
    table, used = table_windows(network)
    together = coefficients.network_var(network, table[used][0], step)
    average = coefficients.average_matrices(network, table, used, step)
    for part in range(2):
        matrices = np.concatenate([batch[part] for batch in large])
        assert matrices.dtype == np.float64
        for other in np.concatenate([batch[part] for batch in small]), together[part]:
            np.testing.assert_allclose(matrices, other, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(average[part], matrices.mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("name", BATCHED)
def test_batches_keep_within_the_memory(name, monkeypatch):
    network = BATCHED[name]
    _, of_one = with_peak_bytes(next, iter_of(network))
    limit = 5 * of_one
    monkeypatch.setattr(coefficients, "_MOST_BYTES", limit)
    batches = iter_of(network)
    sizes = [len(next(batches)[0])]
    for _ in range(2):
        (some, _), n_bytes = with_peak_bytes(next, batches)
        sizes.append(len(some))
        assert n_bytes <= limit
    # Not so careful that batches are of no use.
    assert sizes[0] == 1
    assert sizes[1] >= 3


def iter_of(network):
    table, used = table_windows(network)
    return iter(coefficients.matrices_of(network, table, used))


SHARED = {
    "static": NETWORKS["static"],
    "static VAR": StaticPath(None, lags=6, horizon=4, n_series=3, order=2).double(),
    "no layers": linear_attention_var(0),
    "weight of one": StaticPath(samovar(), lags=10, horizon=4, n_series=3).double(),
    "readout": Readout(
        linear_attention_var(0), lags=4, n_series=3, n_targets=2, start_at_zero=False
    ).double(),
}
SHARED["static VAR"].is_var.fill_(True)
SHARED["weight of one"].static_weight.fill_(1.0)
for shared in (
    SHARED["static VAR"].var,
    SHARED["no layers"],
    SHARED["readout"].static,
    SHARED["readout"].network,
):
    torch.manual_seed(4)
    shared.matrices.copy_(0.3 * torch.randn_like(shared.matrices))
    shared.intercept.copy_(torch.randn_like(shared.intercept))


@pytest.mark.parametrize("step", [1, 3, 6])
@pytest.mark.parametrize("name", SHARED)
def test_windows_share_the_matrices_of_closed_forms(name, step, monkeypatch):
    network = SHARED[name]
    if name == "readout" and step > 1:
        pytest.skip("forecasts of some series cannot be fed back")
    table, used = table_windows(network)
    alone = [
        coefficients.network_var(network, table[used[i : i + 1]][0], step)
        for i in range(len(used))
    ]
    calls = []
    monkeypatch.setattr(
        coefficients, "network_var", counted(coefficients.network_var, calls)
    )
    shared = coefficients.shared_matrices(network, step)
    average = coefficients.average_matrices(network, table, used, step)
    batches = gathered(network, step)
    assert calls == [1, 1, 1]
    for part in range(2):
        every = np.concatenate([batch[part] for batch in batches])
        np.testing.assert_array_equal(average[part], shared[part])
        np.testing.assert_array_equal(every, [shared[part]] * len(used))
        for window in alone:
            np.testing.assert_allclose(window[part][0], shared[part], atol=1e-12)
    # Nothing that is handed out is the memory of the network.
    for part in shared:
        part[...] = np.nan
    for part in coefficients.shared_matrices(network, step):
        assert np.isfinite(part).all()


def counted(function, calls):
    """A function that notes how many windows it is given."""

    def note(network, window, step):
        calls.append(len(window))
        return function(network, window, step)

    return note


def test_windows_of_other_networks_share_nothing():
    for network in BATCHED.values():
        assert coefficients.shared_matrices(network) is None
    readout = Readout(samovar(), lags=10, n_series=3, n_targets=2, start_at_zero=True)
    assert coefficients.shared_matrices(readout) is None


def test_peak_bytes_are_those_alive_at_once():
    x = torch.zeros(1000, dtype=torch.float64)

    def in_turn():
        for _ in range(3):
            y = x + 1
            del y
        return x[:10].add_(1)  # in place, of a view

    assert with_peak_bytes(in_turn)[1] == 8000
    result, n_bytes = with_peak_bytes(lambda: (x + 1, torch.cat([x, x])))
    assert n_bytes == 24_000
    torch.testing.assert_close(result[0], x + 1)
