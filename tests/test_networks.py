"""Networks against the papers' own code and against their definitions."""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from skvar._networks.samovar import _reference_name, _used_positions
from skvar._networks.static_path import _sure_part
from skvar.coefficients import dynamic_var, local_var
from skvar.nn import LinearAttentionVAR, SAMoVAR, StaticPath, linear_attention

GOLDEN = Path(__file__).parent / "golden"


def load_golden(name):
    arrays = np.load(GOLDEN / f"{name}.npz")
    series, lags, horizon, width, heads, layers, _, targets = arrays["config"].tolist()
    sizes = {
        "lags": lags,
        "horizon": horizon,
        "d_model": width,
        "n_heads": heads,
        "n_series": series,
        "n_layers": layers,
        "n_targets": targets,
    }
    params = {k[6:]: arrays[k] for k in arrays if k.startswith("param/")}
    return arrays, params, sizes


def relative_error(ours, theirs):
    theirs = np.asarray(theirs)
    ours = ours.detach().numpy().reshape(theirs.shape)
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@pytest.mark.parametrize("name", ["samovar", "samovar_fixed_var"])
def test_parity_with_the_papers_code(name):
    arrays, params, sizes = load_golden(name)
    network = SAMoVAR.from_reference(params, **sizes)
    window, target = torch.tensor(arrays["x"]), torch.tensor(arrays["y"])
    network.eval()
    assert relative_error(network(window), arrays["forecast"]) < 1e-4
    losses = network.losses(window, target)
    for loss in ("loss_next_token", "loss_forecast"):
        assert relative_error(losses[loss], arrays[loss]) < 1e-4
    sum(losses.values()).backward()
    gradients = {k[5:]: arrays[k] for k in arrays if k.startswith("grad/")}
    gradients = _used_positions(gradients, network.tokens.n_segments)
    compared = set()
    for ours, parameter in network.named_parameters():
        theirs = _reference_name(ours)
        assert relative_error(parameter.grad, gradients[theirs]) < 1e-4, theirs
        compared.add(theirs)
    assert compared == set(gradients)


def test_parity_of_the_var_stage():
    arrays, params, sizes = load_golden("samovar")
    network = SAMoVAR.from_reference(params, **sizes)
    structural = network.var.structural_matrix()
    assert relative_error(structural, arrays["structural_matrix"]) < 1e-6
    seen = []
    for predictor in network.var.predictors:
        predictor.register_forward_hook(lambda _m, _i, out: seen.append(out))
    network(torch.tensor(arrays["x"]))
    keys = torch.tensor(arrays["k"][0])
    for layer, (q, v) in enumerate(seen):
        assert relative_error(q, arrays["q"][layer]) < 1e-5
        assert relative_error(v, arrays["v"][layer]) < 1e-5
        assert relative_error(keys, arrays["k"][layer]) < 1e-5
        keys = linear_attention(q, keys, v, form="materialised")[0]


def test_from_reference_names_what_is_missing_or_misshapen():
    _, params, sizes = load_golden("samovar")
    with pytest.raises(ValueError, match="which does not fit"):
        SAMoVAR.from_reference(params, **{**sizes, "d_model": 32})
    del params["pre_norm.weight"]
    with pytest.raises(ValueError, match=r"lacks 'pre_norm\.weight'"):
        SAMoVAR.from_reference(params, **sizes)


@pytest.mark.parametrize(
    ("lags", "horizon", "token_length", "n_targets"),
    [(8, 4, None, 3), (7, 4, None, 1), (5, 1, None, 2), (9, 2, 4, 3), (6, 7, 3, 3)],
)
@pytest.mark.parametrize("predictor", ["linear_attention", "fixed_var"])
def test_samovar_shapes(lags, horizon, token_length, n_targets, predictor):
    network = SAMoVAR(
        lags=lags,
        horizon=horizon,
        token_length=token_length,
        n_series=3,
        n_targets=n_targets,
        n_layers=2,
        n_heads=2,
        d_model=8,
        predictor=predictor,
    )
    window = torch.randn(5, lags, 3)
    forecast = network(window)
    assert forecast.shape == (5, horizon, n_targets)
    losses = network.losses(window, torch.randn_like(forecast))
    assert set(losses) == {"loss_next_token", "loss_forecast"}
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_samovar_follows_shift_and_scale_of_a_window():
    network = SAMoVAR(lags=8, horizon=4, n_series=2, n_heads=2, d_model=8).double()
    network.eval()
    window = torch.randn(3, 8, 2, dtype=torch.float64)
    shifted = network(window * 7 + 100)
    assert torch.allclose(shifted, network(window) * 7 + 100, atol=1e-5)


def test_samovar_rejects_recursion_without_all_targets():
    with pytest.raises(ValueError, match="token_length=horizon"):
        SAMoVAR(lags=8, horizon=4, token_length=2, n_series=3, n_targets=1)
    with pytest.raises(ValueError, match="n_heads=3 does not divide d_model=8"):
        SAMoVAR(lags=8, horizon=4, n_series=3, n_heads=3, d_model=8)


def random_linear_attention_var(n_layers, n_targets=None):
    network = LinearAttentionVAR(
        lags=6, n_series=3, n_targets=n_targets, n_layers=n_layers, d_model=8
    ).double()
    generator = torch.Generator().manual_seed(0)
    for tensor in [*network.parameters(), *network.buffers()]:
        tensor.data = 0.5 * torch.randn(
            tensor.shape, generator=generator, dtype=torch.float64
        )
    return network


def test_linear_attention_var_is_the_equation():
    """x_{t+1} = c + sum_j (A_j + sum_h v^h_{t-j} q^h_t^T) x_{t-j}, term by term."""
    network = random_linear_attention_var(n_layers=1)
    window = torch.randn(4, 6, 3, dtype=torch.float64)
    [(q, v)] = network.weights(window)
    static, intercept = network.static_var()
    expected = intercept.repeat(4, 1)
    for lag in range(6):
        past = window[:, 5 - lag]
        expected = expected + past @ static[lag].T
        for h in range(4):
            score = (q[:, 5, h] * past).sum(-1, keepdim=True)
            expected = expected + score * v[:, 5 - lag, h]
    assert torch.allclose(network(window)[:, 0], expected, atol=1e-10)


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
@pytest.mark.parametrize("n_targets", [3, 2])
def test_dynamic_var_rebuilds_the_forecast(n_layers, n_targets):
    network = random_linear_attention_var(n_layers, n_targets)
    window = torch.randn(4, 6, 3, dtype=torch.float64)
    matrices, intercepts = dynamic_var(network, window)
    assert matrices.shape == (4, 6, n_targets, 3)
    rebuilt = intercepts + torch.einsum("bpoi,bpi->bo", matrices, window.flip(1))
    assert torch.allclose(rebuilt, network(window)[:, 0], atol=1e-10)
    if n_layers < 2:
        expected = network.static_var()[0].expand_as(matrices)
        for q, v in network.weights(window):
            values = v.flip(1)[..., -n_targets:]
            expected = expected + torch.einsum("blho,bhi->bloi", values, q[:, -1])
        assert torch.allclose(matrices, expected, atol=1e-10)
    assert torch.allclose(intercepts, network.static_var()[1].expand_as(intercepts))


def test_local_var_agrees_with_finite_differences():
    torch.manual_seed(0)
    network = SAMoVAR(lags=6, horizon=2, n_series=2, n_heads=2, d_model=8).double()
    network = StaticPath(network, lags=6, horizon=2, n_series=2).double().eval()
    network.weight.normal_()
    window = torch.randn(2, 6, 2, dtype=torch.float64)
    matrices, intercepts = local_var(network, window)
    step = 1e-6
    for lag in range(6):
        for series in range(2):
            nudge = torch.zeros_like(window)
            nudge[:, 5 - lag, series] = step
            difference = (network(window + nudge) - network(window - nudge))[:, 0]
            slope = difference / (2 * step)
            assert torch.allclose(matrices[:, lag, :, series], slope, atol=1e-7)
    rebuilt = intercepts + torch.einsum("bpoi,bpi->bo", matrices, window.flip(1))
    assert torch.allclose(rebuilt, network(window)[:, 0], atol=1e-10)


class Known(torch.nn.Module):
    """A network that forecasts what it finds in the first row of the window."""

    def forward(self, window):
        return window[:, :1].repeat(1, 2, 1)


def shares(part, noise, n_windows):
    """The static share found where the network deserves ``part`` of the mix."""
    generator = torch.Generator().manual_seed(0)
    mix = StaticPath(Known(), lags=3, horizon=2, n_series=2)
    window = torch.randn(n_windows, 3, 2, generator=generator)
    target = torch.lerp(mix.static(window), mix.network(window), part)
    target = target + noise * torch.randn(n_windows, 2, 2, generator=generator)
    mix.fit_share([(window[:7], target[:7]), (window[7:], target[7:])])
    return mix.share.item()


def test_share_is_least_squares_where_it_is_sure():
    assert shares(0.75, 0.0, 60) == pytest.approx(0.25, abs=1e-6)
    assert shares(2.0, 0.0, 60) == 0.0
    assert shares(-1.0, 0.0, 60) == 1.0


def test_share_of_an_unsure_network_is_shrunk():
    window, noise = 60, 4.0
    generator = torch.Generator().manual_seed(0)
    mix = StaticPath(Known(), lags=3, horizon=2, n_series=2)
    past = torch.randn(window, 3, 2, generator=generator).double()
    excess = (mix.network(past) - past[:, -1:]).numpy()
    error = noise * torch.randn(window, 2, 2, generator=generator).double().numpy()
    target = past[:, -1:].numpy() + 0.5 * excess + error
    # One regression through zero, its error from the means of 30 stretches.
    cross = (excess * (0.5 * excess + error)).mean(axis=(1, 2))
    square = np.square(excess).mean(axis=(1, 2))
    part = cross.sum() / square.sum()
    scores = (cross - part * square).reshape(30, 2).mean(axis=1)
    standard_error = scores.std(ddof=1) * np.sqrt(1.5 / 30) / square.mean()
    # 84.13 % of Student's distribution with 29 degrees of freedom lie below 1.0176.
    expected = part * (1 - (1.0176 * standard_error / part) ** 2)
    assert 0.01 < expected < 0.95 * part < 1
    mix.fit_share([(past.float(), torch.from_numpy(target).float())])
    assert mix.share.item() == pytest.approx(1 - expected, abs=1e-4)


def test_standard_error_allows_for_overlapping_forecasts():
    # Errors of h steps are sums of h shocks; the true part is zero.
    rng, horizon, parts, errors = np.random.default_rng(0), 8, [], []
    for _ in range(400):
        shocks = rng.normal(size=407)
        cross = np.convolve(shocks, np.ones(horizon), "valid")
        square = np.ones_like(cross)
        part = cross.mean()
        parts.append(part)
        # Where the part is 1, t = 1 / (q * standard error) gives the error away.
        kept = _sure_part(1 + cross - part, square, horizon)
        quantile = scipy.stats.t.isf(scipy.stats.norm.sf(1), 49)
        errors.append(np.sqrt(1 - kept) / quantile)
    assert np.mean(errors) == pytest.approx(np.std(parts), rel=0.1)


def test_share_without_evidence_is_the_static_path():
    assert shares(1.0, 0.0, 3) == 1.0
    mix = StaticPath(Known(), lags=3, horizon=2, n_series=2)
    mix.share.fill_(1.0)
    window = torch.randn(5, 3, 2)
    assert torch.equal(mix(window), window[:, -1:].repeat(1, 2, 1))


def test_static_path_by_var_feeds_forecasts_back():
    torch.manual_seed(0)
    mix = StaticPath(None, lags=5, horizon=3, n_series=2, order=2).double()
    mix.by_var.fill_(True)
    mix.var.matrices.copy_(0.4 * torch.randn(2, 2, 2))
    mix.var.intercept.copy_(torch.randn(2))
    window = torch.randn(4, 5, 2, dtype=torch.float64)
    rows = list(window.unbind(1))
    for _ in range(3):
        mean = sum(rows[-1 - lag] @ mix.var.matrices[lag].T for lag in range(2))
        rows.append(mix.var.intercept + mean)
    torch.testing.assert_close(mix(window), torch.stack(rows[5:], dim=1))


def test_scaled_attention_divides_each_sum():
    torch.manual_seed(0)
    sizes = {"lags": 6, "horizon": 2, "n_series": 2, "n_heads": 2, "d_model": 8}
    plain, scaled = (SAMoVAR(**sizes, scaled=s).double().eval() for s in (False, True))
    scaled.load_state_dict(plain.state_dict())
    tokens = torch.randn(3, 6, 8, dtype=torch.float64)
    for (q, v), (q_scaled, v_scaled) in zip(
        plain.var.weights(tokens)[1], scaled.var.weights(tokens)[1], strict=True
    ):
        divisor = 4 * torch.arange(1, 7, dtype=torch.float64).sqrt()
        torch.testing.assert_close(q / divisor.reshape(-1, 1, 1), q_scaled)
        torch.testing.assert_close(v, v_scaled)
