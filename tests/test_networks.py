"""Networks against the papers' own code and against their definitions."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from torch.nn import functional as F

from skvar._networks import informer, linear_transformer, samovar
from skvar._networks.aaren_forecasting import StreamingNorm
from skvar._networks.arx import used_positions
from skvar._networks.layers import mean_squared_error
from skvar._networks.readout import Readout
from skvar._networks.static_path import _sure_part
from skvar.coefficients import dynamic_var, local_var
from skvar.nn import (
    Aaren,
    AarenForClassification,
    AarenForForecasting,
    Informer,
    ITransformer,
    LinearAttentionVAR,
    LinearTransformer,
    SAMoVAR,
    StaticPath,
    linear_attention,
)

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


def load_golden_of_a_library(name):
    arrays = np.load(GOLDEN / f"{name}.npz")
    config = arrays["config"].tolist()
    names = ["n_series", "lags", "horizon", "label_len", "d_model", "n_heads", "d_ff"]
    sizes = dict(zip([*names, "n_layers", "batch", "factor"], config, strict=True))
    del sizes["batch"]
    params = {k[6:]: arrays[k] for k in arrays if k.startswith("param/")}
    return arrays, params, sizes


def itransformer_and_its_params():
    _, params, sizes = load_golden_of_a_library("itransformer")
    del sizes["label_len"], sizes["factor"]
    return ITransformer.from_reference(params, **sizes), params, sizes


def informer_and_its_params():
    _, params, sizes = load_golden_of_a_library("informer_full_attention")
    sizes["n_marks"] = 4
    return Informer.from_reference(params, **sizes), params, sizes


def relative_error(ours, theirs):
    theirs = np.asarray(theirs)
    ours = ours.detach().numpy().reshape(theirs.shape)
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


@pytest.mark.parametrize(
    ("name", "kind", "module"),
    [
        ("samovar", SAMoVAR, samovar),
        ("samovar_fixed_var", SAMoVAR, samovar),
        ("misaligned_linear_transformer", LinearTransformer, linear_transformer),
    ],
)
def test_parity_with_the_papers_code(name, kind, module):
    arrays, params, sizes = load_golden(name)
    network = kind.from_reference(params, **sizes)
    window, target = torch.tensor(arrays["x"]), torch.tensor(arrays["y"])
    network.eval()
    assert relative_error(network(window), arrays["forecast"]) < 1e-4
    losses = network.losses(window, target)
    for loss in ("loss_next_token", "loss_forecast"):
        assert relative_error(losses[loss], arrays[loss]) < 1e-4
    sum(losses.values()).backward()
    gradients = {k[5:]: arrays[k] for k in arrays if k.startswith("grad/")}
    gradients = used_positions(gradients, network.tokens)
    compared = set()
    for ours, parameter in network.named_parameters():
        theirs = module.reference_name(ours)
        assert relative_error(parameter.grad, gradients[theirs]) < 1e-4, theirs
        compared.add(theirs)
    assert compared == set(gradients)


def test_parity_of_itransformer():
    arrays = np.load(GOLDEN / "itransformer.npz")
    network, params, _ = itransformer_and_its_params()
    window, expected = torch.tensor(arrays["x"]), arrays["forecast"]
    assert relative_error(network.eval()(window), expected) < 1e-6
    with torch.inference_mode():  # torch has another implementation for it
        assert relative_error(network(window), expected) < 1e-6
    assert sum(p.numel() for p in network.parameters()) == sum(
        array.size for array in params.values()
    )


def test_parity_of_informer():
    # So great a factor that every query attends in full.
    arrays = np.load(GOLDEN / "informer_full_attention.npz")
    network, params, _ = informer_and_its_params()
    window, past, future = (torch.tensor(arrays[k]) for k in ("x", "x_mark", "y_mark"))
    assert np.array_equal(arrays["x_dec"][:, :12], arrays["x"][:, -12:])
    forecast = network.eval()(window, past, future)
    assert relative_error(forecast, arrays["forecast"]) < 1e-6
    target = torch.zeros_like(forecast)
    loss = network.losses(window, target, None, past, future)["loss_forecast"]
    assert loss.item() == pytest.approx(np.square(arrays["forecast"]).mean(), rel=1e-5)
    theirs = sum(params[name].size for name in params if ".running_" not in name)
    assert sum(p.numel() for p in network.parameters()) == theirs - 1  # num_batches


def test_checkpoints_hold_running_statistics():
    _, params, sizes = informer_and_its_params()
    rng, prefix = np.random.default_rng(0), "encoder.conv_layers.0.norm.running_"
    for name in ("mean", "var"):
        params[prefix + name] = rng.uniform(1, 2, 16).astype(np.float32)
    norm = Informer.from_reference(params, **sizes).distil[0].norm
    assert np.array_equal(norm.running_mean, params[prefix + "mean"])
    assert np.array_equal(norm.running_var, params[prefix + "var"])


@pytest.mark.parametrize("load", [itransformer_and_its_params, informer_and_its_params])
def test_checkpoints_of_a_library_that_do_not_fit(load):
    network, params, sizes = load()
    with pytest.raises(ValueError, match="which does not fit"):
        type(network).from_reference(params, **{**sizes, "d_ff": 16})
    with pytest.raises(ValueError, match=r"does not use \['.*attn_layers\.1\."):
        type(network).from_reference(params, **{**sizes, "n_layers": 1})
    name = "encoder.attn_layers.0.conv1.weight"
    turned = {**params, name: np.ascontiguousarray(params[name].swapaxes(0, 1))}
    with pytest.raises(ValueError, match=f"{name}.* which does not fit"):
        type(network).from_reference(turned, **sizes)
    layer = "encoder.attn_layers.0.attention"
    del params[f"{layer}.key_projection.bias"]
    with pytest.raises(ValueError, match=rf"params lacks '{layer}\.\w+_projection"):
        type(network).from_reference(params, **sizes)


def test_checkpoints_with_marks_need_a_network_with_marks():
    _, params, sizes = informer_and_its_params()
    # What a library's own state_dict holds besides.
    for part in ("enc", "dec"):
        name = f"{part}_embedding.position_embedding.pe"
        params[name] = np.zeros((1, 5000, 16))
    Informer.from_reference(params, **sizes)
    with pytest.raises(ValueError, match=r"not use \['dec_embedding\.temporal_emb"):
        Informer.from_reference(params, **{**sizes, "n_marks": 0})


def test_sampled_keys_of_a_checkpoint_follow_torchs_generator():
    _, params, sizes = informer_and_its_params()
    samples = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        network = Informer.from_reference(params, **{**sizes, "factor": 1})
        samples.append(network.encoder[0].self_attention.sample)
    assert torch.equal(samples[0], samples[1])
    assert not torch.equal(samples[0], samples[2])


def small(kind, **sizes):
    torch.manual_seed(0)
    sizes = {"lags": 30, "horizon": 6, "n_series": 2, "dropout": 0.0, **sizes}
    return kind(n_layers=2, n_heads=2, d_model=8, **sizes)


@pytest.mark.parametrize("kind", [Informer, ITransformer, LinearTransformer])
def test_losses_and_gradients_of_other_transformers(kind):
    network = small(kind, dropout=0.1)
    window, target = torch.randn(4, 30, 2), torch.randn(4, 6, 2)
    window[0, :, 0] = 1.0
    losses = network.losses(window.requires_grad_(), target)
    sum(losses.values()).backward()
    for tensor in (window, *network.parameters()):
        assert torch.isfinite(tensor.grad).all()
    network.eval()
    expected = F.mse_loss(network(window), target)
    assert torch.equal(network.losses(window, target)["loss_forecast"], expected)


def one_step(kind, *, horizon, dropout, **sizes):
    return kind(**sizes)


def readout(**sizes):
    network = one_step(LinearAttentionVAR, **sizes)
    return Readout(network, lags=3, n_series=2, n_targets=2, start_at_zero=False)


NETWORKS = {
    "informer": Informer,
    "itransformer": ITransformer,
    "linear_transformer": LinearTransformer,
    "samovar": SAMoVAR,
    "aaren": AarenForForecasting,
    "linear_attention_var": partial(one_step, LinearAttentionVAR),
    "readout": readout,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_losses_are_over_what_was_observed(name):
    network = small(NETWORKS[name]).eval()
    window, target = torch.randn(4, 30, 2), torch.randn(4, network.horizon, 2)
    seen = torch.rand(target.shape) < 0.5
    missing = torch.full_like(target, torch.nan)
    losses = network.losses(window, target.where(seen, missing))
    errors = (network(window) - target)[seen]
    torch.testing.assert_close(losses["loss_forecast"], errors.square().mean())
    losses = network.losses(window, missing, torch.zeros(window.shape, dtype=bool))
    assert all(loss == 0 for loss in losses.values())
    sum(losses.values()).backward()
    for parameter in network.parameters():
        assert parameter.grad is None or (parameter.grad == 0).all()


def test_gradient_of_what_was_not_observed_is_zero():
    forecast = torch.randn(3, 4, 2, requires_grad=True)
    target = torch.randn(3, 4, 2)
    seen = torch.rand(target.shape) < 0.5
    loss = mean_squared_error(forecast, target.where(seen, torch.nan))
    (slope,) = torch.autograd.grad(loss, forecast)
    expected = 2 * (forecast - target) * seen / seen.sum()
    torch.testing.assert_close(slope, expected)
    spoilt = forecast.detach().clone()
    spoilt[seen.logical_not()] = torch.nan
    assert mean_squared_error(spoilt, target.where(seen, torch.nan)).isnan()


@pytest.mark.parametrize("kind", [Informer, ITransformer, LinearTransformer])
def test_other_transformers_name_a_wrong_size(kind):
    for name in ("horizon", "n_series", "n_layers", "d_model"):
        sizes = {"lags": 8, "horizon": 2, "n_series": 1}
        with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
            kind(**{**sizes, name: 0})
    for name in ("lags", "n_heads", "n_layers"):
        for value in (True, 2.0, "2"):
            with pytest.raises(TypeError, match=f"{name}={value!r} must be an integer"):
                kind(**{**sizes, name: value})
    with pytest.raises(ValueError, match="lags=0 must be at least"):
        kind(lags=0, horizon=2, n_series=1)
    with pytest.raises(ValueError, match="n_heads=3 does not divide d_model=8"):
        kind(**sizes, n_heads=3, d_model=8)
    assert kind(**{**sizes, "lags": np.int64(8)}).lags == 8


@pytest.mark.parametrize("kind", [Informer, ITransformer, LinearTransformer, SAMoVAR])
def test_networks_name_the_rows_of_a_window(kind):
    network = kind(lags=8, horizon=4, n_series=2)
    for shape in ((3, 7, 2), (3, 16, 2), (8, 2)):
        with pytest.raises(ValueError, match="window has the shape .* with lags=8"):
            network(torch.randn(shape))
    if kind is ITransformer:
        assert network(torch.randn(3, 8, 5)).shape == (3, 4, 5)
    else:
        with pytest.raises(ValueError, match=r"\(3, 8, 5\), not .* n_series=2"):
            network(torch.randn(3, 8, 5))


@pytest.mark.parametrize("kind", [LinearTransformer, SAMoVAR])
def test_networks_of_arx_tokens_name_a_wrong_size(kind):
    sizes = {"lags": 8, "horizon": 2, "n_series": 3}
    for name in ("token_length", "n_targets"):
        with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
            kind(**sizes, **{name: 0})
    with pytest.raises(ValueError, match="n_targets=4 exceeds n_series=3"):
        kind(**sizes, n_targets=4)


def test_informer_names_what_does_not_fit():
    sizes = {"lags": 8, "horizon": 2, "n_series": 1}
    with pytest.raises(ValueError, match=r"label_len=9 exceeds lags=8"):
        Informer(**sizes, label_len=9)
    with pytest.raises(ValueError, match=r"^lags=1 must be at least 2\.$"):
        Informer(lags=1, horizon=2, n_series=1)
    with pytest.raises(ValueError, match="n_marks=-1 must be at least 0"):
        Informer(**sizes, n_marks=-1)
    for name in ("label_len", "factor", "n_decoder_layers", "d_ff"):
        with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
            Informer(**sizes, **{name: 0})


@pytest.mark.parametrize(
    ("n_marks", "past", "future", "message"),
    [
        (3, None, None, r"past_marks has the shape None, .* needs \(2, 8, 3\)"),
        (3, (2, 8, 3), (2, 1, 3), r"future_marks .* \(2, 1, 3\), .* \(2, 6, 3\)"),
        (3, (2, 8, 3), (1, 6, 3), r"future_marks .* \(1, 6, 3\)"),
        (3, (2, 1, 3), (2, 6, 3), r"past_marks .* \(2, 1, 3\)"),
        (3, (2, 8, 2), (2, 6, 2), r"past_marks .* \(2, 8, 2\), but n_marks=3"),
        (0, (2, 8, 2), None, "past_marks .* n_marks=0 needs None"),
        (0, None, (2, 6, 2), "future_marks .* n_marks=0 needs None"),
    ],
)
def test_informer_names_marks_that_do_not_fit(n_marks, past, future, message):
    network = Informer(lags=8, horizon=2, n_series=1, n_marks=n_marks)
    marks = [None if shape is None else torch.randn(shape) for shape in (past, future)]
    with pytest.raises(ValueError, match=message):
        network(torch.randn(2, 8, 1), *marks)


@pytest.mark.parametrize(("lags", "horizon", "n_layers"), [(2, 1, 4), (3, 9, 1)])
def test_informer_of_few_rows(lags, horizon, n_layers):
    sizes = {"lags": lags, "horizon": horizon, "n_layers": n_layers, "n_series": 2}
    network = Informer(**sizes, n_decoder_layers=2)
    assert network(torch.randn(5, lags, 2)).shape == (5, horizon, 2)


@torch.no_grad()
def test_informer_samples_anew_in_training_alone():
    # Momentum 0 keeps the statistics of batches as they are.
    network, other = small(Informer, factor=1), small(Informer, factor=1)
    for distil in network.distil:
        distil.norm.momentum = 0.0
    window = torch.randn(16, 30, 2)

    def forecast(seed):
        torch.manual_seed(seed)
        return network(window)

    assert torch.equal(forecast(1), forecast(1))
    assert not torch.allclose(forecast(1), forecast(2))
    network.eval()
    assert torch.equal(forecast(1), forecast(2))
    for attention in (layer.self_attention for layer in other.encoder):
        attention.sample.copy_(torch.randint_like(attention.sample, 2))
    assert not torch.allclose(other.eval()(window), network(window))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(window), network(window))


# ln 8 = 2.08, ln 15 = 2.71, ln 16 = 2.77, ln 20 = 2.996, ln 21 = 3.04, ln 1000 = 6.91
@pytest.mark.parametrize(
    ("factor", "n", "expected"),
    [
        (1, 2, 1),
        (1, 8, 3),
        (1, 16, 3),
        (5, 15, 15),
        (5, 16, 15),
        (5, 20, 15),
        (5, 21, 20),
        (2, 1000, 14),
        (9, 4, 4),
    ],
)
def test_sparse_number_is_counted_by_hand(factor, n, expected):
    assert informer.sparse_number(factor, n) == expected


@pytest.mark.parametrize("training", [True, False])
def test_informer_samples_all_keys_and_so_many(training, monkeypatch):
    calls = []

    def spy(q, k, v, sample, n_top, *, causal):
        calls.append((sample, n_top, causal))
        return v.mean(dim=1, keepdim=True).expand_as(q)

    monkeypatch.setattr(informer, "probsparse_attention", spy)
    torch.manual_seed(0)
    for _ in range(20):
        network = Informer(
            lags=60, horizon=6, n_series=2, label_len=12, factor=1, d_model=8
        )
        network.train(training)(torch.randn(2, 60, 2))
    # Distilling leaves 31 of 60 tokens; the decoder has 18, and looks back first:
    # ln 60 = 4.09, ln 31 = 3.43, ln 18 = 2.89.
    expected = [
        ((60, 5), 60, 5, False),
        ((31, 4), 31, 4, False),
        ((18, 3), 18, 3, True),
        ((18, 4), 31, 3, False),
    ]
    for place, (shape, n_keys, n_top, causal) in enumerate(expected):
        samples = torch.stack([sample for sample, _, _ in calls[place::4]])
        assert samples.shape == (20, *shape)
        assert samples.unique().tolist() == list(range(n_keys))
        assert calls[place][1:] == (n_top, causal)


@pytest.mark.parametrize(("lags", "expected"), [(8, 4), (9, 4), (2, 1)])
def test_informers_decoder_starts_from_half_of_the_window(lags, expected):
    network = Informer(lags=lags, horizon=3, n_series=2)
    assert network.label_len == expected
    seen = []
    network.decoder_embed.register_forward_pre_hook(lambda _, args: seen.append(args))
    window = torch.randn(5, lags, 2)
    network(window)
    [(start, _)] = seen
    assert torch.equal(start[:, :expected], window[:, lags - expected :])
    assert torch.equal(start[:, expected:], torch.zeros(5, 3, 2))


@pytest.mark.parametrize(
    ("kind", "n_calls"),
    [
        # Embeddings of encoder and decoder; 3 in each of 2 layers, 4 in the decoder's.
        (Informer, 2 + 2 * 3 + 4),
        # The embedding; weights of attention and after it, inside the MLP and after it.
        (ITransformer, 1 + 2 * 4),
        # The tokens; after attention and after the MLP.
        (LinearTransformer, 1 + 2 * 2),
    ],
)
def test_dropout_of_other_transformers(kind, n_calls):
    network = small(kind, dropout=0.25)
    shares = []

    def count(module, args, out):
        [before] = args
        shares.append(((out == 0) & (before != 0)).sum() / (before != 0).sum())

    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.register_forward_hook(count)
    window = torch.randn(64, 30, 2)
    network(window)
    assert torch.stack(shares).numpy() == pytest.approx([0.25] * n_calls, abs=0.05)
    shares.clear()
    network.eval()
    assert torch.equal(network(window), network(window))
    assert not any(shares)
    if kind is ITransformer:
        assert [layer.self_attn.dropout for layer in network.layers] == [0.25] * 2


def test_initial_values_of_other_transformers():
    torch.manual_seed(0)
    sizes = {"lags": 64, "horizon": 16, "n_series": 32, "d_model": 128}
    network = LinearTransformer(**sizes, n_layers=8)
    # 0.02 / sqrt(2 n_layers) at the ends of residual branches, as in GPT-2.
    for layer in network.layers:
        ends = (layer.out, layer.feed_forward.contract)
        for linear in (*ends, layer.query, layer.feed_forward.expand):
            expected = 0.005 if linear in ends else 0.02
            assert linear.weight.std().item() == pytest.approx(expected, rel=0.03)
            assert not linear.bias.any()
    assert network.head.weight.std().item() == pytest.approx(0.02, rel=0.1)
    # He et al. (2015), arXiv:1502.01852: sqrt(2 / (1 + slope^2) / fan_in).
    network = Informer(**sizes)
    for embed in (network.embed, network.decoder_embed):
        expected = np.sqrt(2 / (1 + 0.01**2) / (3 * 32))
        assert embed.rows.weight.std().item() == pytest.approx(expected, rel=0.03)


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
    with pytest.raises(ValueError, match=r"does not use \['transformer\.attn\.1\."):
        SAMoVAR.from_reference(params, **{**sizes, "n_layers": 1})
    del params["pre_norm.weight"]
    with pytest.raises(ValueError, match=r"lacks 'pre_norm\.weight'"):
        SAMoVAR.from_reference(params, **sizes)


@pytest.mark.parametrize(
    ("lags", "horizon", "token_length", "n_targets"),
    [(8, 4, None, 3), (7, 4, None, 1), (5, 1, None, 2), (9, 2, 4, 3), (6, 7, 3, 3)],
)
@pytest.mark.parametrize(
    "kind", [SAMoVAR, partial(SAMoVAR, predictor="fixed_var"), LinearTransformer]
)
def test_shapes_of_networks_on_arx_tokens(lags, horizon, token_length, n_targets, kind):
    network = kind(
        lags=lags,
        horizon=horizon,
        token_length=token_length,
        n_series=3,
        n_targets=n_targets,
        n_layers=2,
        n_heads=2,
        d_model=8,
    )
    window = torch.randn(5, lags, 3)
    forecast = network(window)
    assert forecast.shape == (5, horizon, n_targets)
    losses = network.losses(window, torch.randn_like(forecast))
    assert set(losses) == {"loss_next_token", "loss_forecast"}
    assert all(torch.isfinite(loss) for loss in losses.values())


@pytest.mark.parametrize("kind", [SAMoVAR, LinearTransformer])
@torch.no_grad()
def test_next_tokens_are_those_that_were_observed(kind):
    sizes = {"lags": 10, "horizon": 4, "n_series": 3, "n_targets": 2, "d_model": 8}
    network = kind(**sizes, n_heads=2).eval()
    window, target = torch.randn(5, 10, 3), torch.randn(5, 4, 2)
    observed = torch.rand(window.shape) < 0.6
    segments, predicted, _ = network._next_tokens(window)
    errors = []
    # The first 2 rows fill the first of 3 tokens, which nothing predicts.
    for b, row, series in observed[:, 2:, 1:].nonzero().tolist():
        token, place = row // 4, row % 4
        i = 2 * b + series
        errors.append(segments[i, token + 1, place] - predicted[i, token, place])
    losses = network.losses(window, target, observed)
    expected = torch.stack(errors).square().mean()
    torch.testing.assert_close(losses["loss_next_token"], expected)
    assert losses["loss_forecast"] == network.losses(window, target)["loss_forecast"]


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
    network.matrices.normal_()
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
    mix.fit_static_weight([(window[:7], target[:7]), (window[7:], target[7:])])
    return mix.static_weight.item()


def test_share_is_least_squares_where_it_is_sure():
    assert shares(0.75, 0.0, 60) == pytest.approx(0.25, abs=1e-6)
    assert shares(2.0, 0.0, 60) == 0.0
    assert shares(-1.0, 0.0, 60) == 1.0


def test_share_is_of_what_was_observed():
    generator = torch.Generator().manual_seed(0)
    mix = StaticPath(Known(), lags=3, horizon=2, n_series=2)
    window = torch.randn(60, 3, 2, generator=generator)
    target = window[:, 1:] + torch.randn(60, 2, 2, generator=generator)
    seen = torch.rand(target.shape, generator=generator) < 0.4
    excess, error = mix.network(window) - mix.static(window), target - window[:, -1:]
    products = [
        [(some[i][seen[i]]).mean().item() for i in range(60) if seen[i].any()]
        for some in (excess * error, excess.square())
    ]
    assert len(products[0]) < 60
    batch = window, target.where(seen, torch.nan), torch.ones_like(window).bool()
    mix.fit_static_weight([batch])
    expected = 1 - _sure_part(*np.array(products), 2)
    assert 0 < expected < 1
    assert mix.static_weight.item() == pytest.approx(expected, abs=1e-6)


def test_share_of_an_unsure_network_is_drawn_to_one_half():
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
    # Two normal densities, of the part found and of one half with an error of 1/4.
    precisions = 1 / (1.0176 * standard_error) ** 2, 16
    expected = np.average([part, 0.5], weights=precisions)
    assert abs(expected - part) > 0.05
    assert abs(expected - 0.5) > 0.05
    mix.fit_static_weight([(past.float(), torch.from_numpy(target).float())])
    assert mix.static_weight.item() == pytest.approx(1 - expected, abs=1e-4)


def test_standard_error_allows_for_overlapping_forecasts():
    # Errors of h steps are sums of h shocks; the true part is zero.
    rng, horizon, parts, errors = np.random.default_rng(0), 8, [], []
    for _ in range(400):
        shocks = rng.normal(size=407)
        cross = np.convolve(shocks, np.ones(horizon), "valid")
        square = np.ones_like(cross)
        part = cross.mean()
        parts.append(part)
        # How far a part of 1 is drawn to one half gives the error away.
        known = 2 * _sure_part(1 + cross - part, square, horizon) - 1
        quantile = scipy.stats.t.isf(scipy.stats.norm.sf(1), 49)
        errors.append(0.25 * np.sqrt(1 / known - 1) / quantile)
    assert np.mean(errors) == pytest.approx(np.std(parts), rel=0.1)


def test_share_without_evidence_is_the_static_path():
    assert shares(1.0, 0.0, 3) == 1.0
    mix = StaticPath(Known(), lags=3, horizon=2, n_series=2)
    mix.static_weight.fill_(1.0)
    window = torch.randn(5, 3, 2)
    assert torch.equal(mix(window), window[:, -1:].repeat(1, 2, 1))


def test_static_path_by_var_feeds_forecasts_back():
    torch.manual_seed(0)
    mix = StaticPath(None, lags=5, horizon=3, n_series=2, order=2).double()
    mix.is_var.fill_(True)
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
    plain, scaled = (
        SAMoVAR(**sizes, scaled_attention=s).double().eval() for s in (False, True)
    )
    scaled.load_state_dict(plain.state_dict())
    tokens = torch.randn(3, 6, 8, dtype=torch.float64)
    for (q, v), (q_scaled, v_scaled) in zip(
        plain.var.weights(tokens)[1], scaled.var.weights(tokens)[1], strict=True
    ):
        divisor = 4 * torch.arange(1, 7, dtype=torch.float64).sqrt()
        torch.testing.assert_close(q / divisor.reshape(-1, 1, 1), q_scaled)
        torch.testing.assert_close(v, v_scaled)


def in_pieces(call, sequence, sizes):
    """Outputs of a recurrent call on consecutive pieces, and its last state."""
    parts, state = [], None
    for piece in sequence.split(sizes, dim=1):
        out, state = call(piece, state)
        parts.append(out)
    return torch.cat(parts, dim=1), state


def storage(state):
    if torch.is_tensor(state):
        return state.untyped_storage().nbytes()
    return sum(map(storage, state))


@pytest.mark.parametrize("n_layers", [1, 3])
def test_aaren_has_a_transformers_parameters_and_a_query(n_layers):
    transformer = torch.nn.TransformerEncoderLayer(32, 4, 128, norm_first=True)
    ours, theirs = (
        sum(p.numel() for p in network.parameters())
        for network in (Aaren(32, 4, n_layers=n_layers), transformer)
    )
    assert ours == n_layers * (theirs + 32)


@pytest.mark.parametrize("timescale", [None, 10.0])
def test_aaren_is_a_transformer_with_one_query(timescale):
    torch.manual_seed(0)
    network = Aaren(12, 3, n_layers=2, timescale=timescale).double()
    tokens = torch.randn(2, 40, 12, dtype=torch.float64)
    mask = torch.rand(2, 40) < 0.8
    mask[:, 0] = True
    age = torch.arange(40)[:, None] - torch.arange(40)
    x = tokens
    for layer in network.layers:
        u = layer.norm(x)
        heads = [
            part.unflatten(-1, (3, 4)).transpose(1, 2)
            for part in (
                layer.query(layer.token).expand(2, 40, 12),
                layer.key(u),
                layer.value(u),
            )
        ]
        decay = 0.0
        if timescale is not None:
            decay = (layer.first_decay * layer.log_change.exp())[:, None, None]
        bias = torch.zeros(2, 3, 40, 40).double() - age * decay
        bias = bias.masked_fill((age < 0) | ~mask[:, None, None], -torch.inf)
        out = F.scaled_dot_product_attention(*heads, attn_mask=bias)
        x = x + layer.out(out.transpose(1, 2).flatten(2))
        x = layer.feed_forward(x)
    out, _ = network(tokens, mask=mask)
    assert torch.allclose(out, x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("timescale", [None, 10.0])
def test_aaren_streams_from_a_state_of_constant_size(timescale):
    torch.manual_seed(0)
    network = Aaren(12, 3, n_layers=2, timescale=timescale).double()
    tokens = torch.randn(2, 300, 12, dtype=torch.float64)
    with torch.no_grad():
        whole, state = network(tokens)
        _, early = network(tokens[:, :7])
        for sizes in (1, 77, [0, 299, 1]):
            parts, after = in_pieces(network, tokens, sizes)
            assert torch.allclose(parts, whole, rtol=0, atol=1e-12)
            assert storage(after) == storage(state) == storage(early)


def test_the_networks_of_aaren_name_a_size_below_one():
    sizes = {"lags": 8, "horizon": 2, "n_series": 1, "token_length": 2}
    for name in sizes:
        with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
            AarenForForecasting(**{**sizes, name: 0})
    sizes = {"longest": 8, "n_series": 1, "n_classes": 2, "token_length": 2}
    for name in sizes:
        with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
            AarenForClassification(**{**sizes, name: 0})


def test_aaren_names_what_does_not_fit():
    with pytest.raises(ValueError, match="n_heads=5 does not divide d_model=12"):
        Aaren(12, 5)
    with pytest.raises(ValueError, match="timescale=1 must be more than one token"):
        Aaren(12, 3, timescale=1)
    with pytest.raises(ValueError, match="n_layers=0"):
        Aaren(12, 3, n_layers=0)
    with pytest.raises(ValueError, match=r"not \(B, N, d_model\) with d_model=12"):
        Aaren(12, 3)(torch.randn(5, 12))
    tokens = torch.randn(1, 5, 12)
    with pytest.raises(ValueError, match=r"state is of 1 layer\(s\), but there are 2"):
        Aaren(12, 3, n_layers=2)(tokens, Aaren(12, 3)(tokens)[1])


def aaren_for_forecasting(token_length, **sizes):
    torch.manual_seed(0)
    sizes = {"lags": 24, "horizon": 5, "n_series": 2, **sizes}
    network = AarenForForecasting(token_length=token_length, **sizes).double().eval()
    torch.nn.init.normal_(network.head.weight, std=0.3)
    return network


@pytest.mark.parametrize("token_length", [1, 3, 8])
@torch.no_grad()
def test_a_forecast_from_the_state_is_that_of_all_rows(token_length):
    network = aaren_for_forecasting(token_length)
    rows = torch.randn(3, 70, 2, dtype=torch.float64).cumsum(dim=1)
    expected = torch.stack([network(rows[:, : t + 1]) for t in range(70)], dim=1)
    sizes = set()
    for pieces in (70, 1, [1, 1, 9, 3, 24, 1, 2, 29]):
        out, state = in_pieces(network.extend, rows, pieces)
        assert torch.allclose(out, expected, rtol=0, atol=1e-10)
        sizes.add(storage(state))
    assert len(sizes) == 1
    for n_last in (0, 2):
        last, _ = network.extend(rows, n_last=n_last)
        assert torch.allclose(last, expected[:, 70 - n_last :], rtol=0, atol=1e-10)


@torch.no_grad()
def test_losses_of_aaren_are_the_errors_after_every_token():
    network = aaren_for_forecasting(7)
    window, target = torch.randn(2, 3, 24, 2, dtype=torch.float64)
    target = target[:, :5]
    rows = torch.cat([window, target], dim=1)
    # Tokens end 7 rows apart; the first reaches back beyond the first row.
    padded = torch.cat([rows[:, :1].expand(-1, 4, -1), rows], dim=1)
    errors = [
        (network(padded[:, :end]) - padded[:, end : end + 5]).square().mean()
        for end in (7, 14, 21, 28)
    ]
    losses = network.losses(window, target)
    assert torch.isclose(losses["loss_forecast"], errors[-1])
    assert torch.isclose(losses["loss_earlier"], sum(errors[:-1]) / 3)


@torch.no_grad()
def test_losses_of_aaren_are_over_what_was_observed():
    network = aaren_for_forecasting(8)
    window, target = torch.randn(2, 3, 24, 2, dtype=torch.float64)
    target = target[:, :5]
    observed = torch.rand(window.shape) < 0.5
    errors = []
    for end in (8, 16):
        seen = observed[:, end : end + 5]
        errors.append((network(window[:, :end]) - window[:, end : end + 5])[seen])
    losses = network.losses(window, target, observed)
    assert torch.isclose(losses["loss_earlier"], torch.cat(errors).square().mean())
    assert losses["loss_forecast"] == network.losses(window, target)["loss_forecast"]


def test_aaren_moves_with_the_level_and_bears_flat_series():
    network = aaren_for_forecasting(4)
    window = torch.randn(3, 24, 2, dtype=torch.float64)
    expected = 100 + network(window)
    assert torch.allclose(network(100 + window), expected, rtol=0, atol=1e-9)
    window[:, :, 0] = 3.0
    window[:, :9, 1] = 1.0
    # Values that stay the same make no jump of the forecast.
    assert torch.autograd.gradcheck(network, window[:1].requires_grad_(), atol=1e-4)
    flat = torch.ones(1, 5000, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(network.float()(flat).sum(), flat)
    assert torch.isfinite(slope).all()


@torch.no_grad()
def test_aaren_forecasts_in_the_units_of_a_long_window():
    network = aaren_for_forecasting(4)
    window = 0.2 * torch.randn(3, 400, 2, dtype=torch.float64)
    # The variance at the start is forgotten with e^(-100 / 3).
    assert torch.allclose(network(3 * window), 3 * network(window), rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [1e4, 1e30])
@torch.no_grad()
def test_aaren_recovers_from_an_outlier(value):
    network = aaren_for_forecasting(4).float()
    rows = torch.randn(1, 300, 2)
    spoilt = rows.clone()
    spoilt[:, 50, 0] = value
    (out, _), (bad, _) = network.extend(rows), network.extend(spoilt)
    assert torch.isfinite(bad).all()
    later = (out - bad)[:, 54:].abs()
    # After the token that holds it the scale is at most five times what it was.
    assert later[:, 4:].max() < 10 * out.abs().max()
    assert later[:, 200:].max() < 1e-3


@pytest.mark.parametrize("cut", [0, 1, 15])
def test_streaming_norm_is_exponential_smoothing(cut):
    norm = StreamingNorm(8)
    tokens = torch.randn(1, 40, 2, 5, dtype=torch.float64)
    tokens[:, :, 1] += torch.linspace(0, 100, 40)[:, None]
    *_, state = norm(tokens[:, :cut])
    mean, scale, _ = norm(tokens[:, cut:], state)
    # Weights of 1, e^(-1/8), e^(-2/8), ... by pandas; the first variance is one.
    smoothing = {"alpha": 1 - np.exp(-1 / 8), "adjust": True}
    means = pd.DataFrame(tokens[0].mean(-1)).ewm(**smoothing).mean().to_numpy()
    deviations = (tokens[0].numpy() - means[..., np.newaxis]).clip(-5, 5)
    squares = np.square(deviations).mean(-1)
    squares = np.concatenate([np.ones((1, 2)), squares])
    variances = pd.DataFrame(squares).ewm(**smoothing).mean().to_numpy()[1:]
    np.testing.assert_allclose(mean[0], means[cut:], atol=1e-12)
    np.testing.assert_allclose(scale[0].square(), variances[cut:] + 1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", ["ridge", "var"])
@pytest.mark.parametrize("share", [0.3, 1.0, None])
@torch.no_grad()
def test_a_static_path_streams_with_its_network(kind, share):
    learned = None if share is None else aaren_for_forecasting(4)
    network = StaticPath(learned, lags=24, horizon=5, n_series=2, order=3).double()
    network.static_weight.fill_(1.0 if share is None else share)
    network.is_var.fill_(kind == "var")
    for values in (network.matrices, network.var.matrices):
        values.copy_(0.2 * torch.randn_like(values))
    rows = torch.randn(2, 60, 2, dtype=torch.float64)
    out, _ = in_pieces(network.extend, rows, [30, 1, 1, 28])
    for t in (0, 5, 23, 24, 40, 59):
        window = torch.cat([rows[:, :1].expand(-1, 24, -1), rows[:, : t + 1]], dim=1)
        expected = network.static(window[:, -24:])
        if learned is not None:
            expected = torch.lerp(learned(rows[:, : t + 1]), expected, share)
        assert torch.allclose(out[:, t], expected, rtol=0, atol=1e-10)
