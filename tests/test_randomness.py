"""Random numbers of fits: from generators of their own, as torch's own would draw."""

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from test_sharing import forks
from torch import nn

import skvar
from skvar import AarenClassifier
from skvar._data.windows import Windows
from skvar._networks.itransformer import EncoderLayer
from skvar._networks.layers import Dropout
from skvar._training.loop import TrainingOptions, train
from skvar._training.randomness import Generators, drawing_from, initialised_by
from skvar.datasets import make_var
from skvar.nn import (
    Aaren,
    AarenForClassification,
    AarenForForecasting,
    Informer,
    ITransformer,
    LinearAttentionVAR,
    LinearTransformer,
    Readout,
    SAMoVAR,
    StaticPath,
)

CPU = torch.device("cpu")
TABLE = make_var(90, 2, random_state=0).series
SIZES = {"lags": 8, "horizon": 2, "n_series": 2}
SMALL = {**SIZES, "n_heads": 2, "d_model": 8, "dropout": 0.2}
TRAINED = {
    "aaren": lambda: AarenForForecasting(**SMALL, token_length=4),
    "informer": lambda: Informer(**SMALL),
    "itransformer": lambda: ITransformer(**SMALL),
    "linear_transformer": lambda: LinearTransformer(**SMALL),
    "samovar": lambda: SAMoVAR(**SMALL),
    "fixed_var": lambda: SAMoVAR(**SMALL, predictor="fixed_var"),
    "var": lambda: LinearAttentionVAR(lags=8, n_series=2, dropout=0.2),
}
BUILT = {
    **TRAINED,
    "bare_aaren": lambda: Aaren(8, 2, n_layers=2, timescale=9),
    "classifier": lambda: AarenForClassification(longest=9, n_series=2, n_classes=2),
    "readout": lambda: Readout(
        SAMoVAR(**SMALL, n_targets=1),
        lags=1,
        n_series=2,
        n_targets=1,
        start_at_zero=False,
    ),
    "mix": lambda: StaticPath(SAMoVAR(**SMALL), **SIZES),
    "convolution": lambda: nn.Conv1d(2, 4, 3, padding_mode="circular"),
    "embedding": lambda: nn.Embedding(5, 4),
    "attention": lambda: nn.MultiheadAttention(8, 2, kdim=4, add_bias_kv=True),
    "decoder": lambda: nn.TransformerDecoderLayer(8, 2, 16),
    "recurrent": lambda: nn.LSTM(2, 4, 2),
    "bilinear": lambda: nn.Bilinear(2, 3, 4),
}
INITIALISERS = (
    "uniform_",
    "normal_",
    "trunc_normal_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
)
METHODS = (
    "bernoulli_",
    "cauchy_",
    "exponential_",
    "log_normal_",
    "normal_",
    "random_",
    "uniform_",
)
HALVES = torch.full((3, 4), 0.5)
DRAWN = {
    "rand": lambda: torch.rand(3),
    "randn": lambda: torch.randn(3, dtype=torch.float64),
    "randint": lambda: torch.randint(9, (7,)),
    "randperm": lambda: torch.randperm(9),
    "normal": lambda: torch.normal(HALVES, 1.0),
    "bernoulli": lambda: torch.bernoulli(HALVES),
    "binomial": lambda: torch.binomial(8 * HALVES, HALVES),
    "multinomial": lambda: torch.multinomial(HALVES, 2),
    "poisson": lambda: torch.poisson(HALVES),
    "Tensor.bernoulli": lambda: HALVES.bernoulli(),
    "Tensor.multinomial": lambda: HALVES.multinomial(2),
    "geometric_": lambda: HALVES.clone().geometric_(0.5),
    "sparse_": lambda: nn.init.sparse_(torch.empty(4, 4), 0.5),
    **{name: lambda n=name: getattr(HALVES.clone(), n)() for name in METHODS},
    **{
        f"init.{name}": lambda n=name: getattr(nn.init, n)(torch.empty(4, 4))
        for name in INITIALISERS
    },
}


def generator(seed=3):
    return torch.Generator().manual_seed(seed)


def unchanged(draw):
    """What a function returns that must leave torch's own generator as it is."""
    torch.manual_seed(99)
    before = torch.get_rng_state()
    result = draw()
    assert torch.equal(torch.get_rng_state(), before)
    return result


def assert_same(one, two):
    one, two = one.state_dict(), two.state_dict()
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


def test_every_network_is_among_those_built():
    networks = {name for name in skvar.nn.__all__ if name[0].isupper()}
    assert networks <= {type(build()).__name__ for build in BUILT.values()}


@pytest.mark.parametrize("name", BUILT)
def test_networks_begin_as_torchs_own_generator_would_have_them(name):
    torch.manual_seed(3)
    expected = BUILT[name]()

    def build():
        with initialised_by(generator()):
            return BUILT[name]()

    assert_same(unchanged(build), expected)


@pytest.mark.parametrize("name", DRAWN)
def test_what_draws_draws_from_the_generator(name):
    torch.manual_seed(3)
    expected = DRAWN[name]()

    def draw():
        with initialised_by(generator()):
            return DRAWN[name]()

    assert torch.equal(unchanged(draw), expected)


def test_a_generator_that_is_given_is_used():
    with initialised_by(generator()):
        found = torch.rand(3, generator=generator(4))
    assert torch.equal(found, torch.rand(3, generator=generator(4)))


def test_other_threads_do_not_draw_from_it():
    ours = generator()
    with initialised_by(ours), ThreadPoolExecutor(1) as pool:
        pool.submit(torch.rand, 3).result()
    assert torch.equal(ours.get_state(), generator().get_state())


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(3, 4), (50, 70, 9), (0, 4)])
def test_dropout_is_torchs(p, training, shape):
    x = torch.randn(shape, generator=generator(), requires_grad=True)
    layer, ours = Dropout(p).train(training), generator()
    torch.manual_seed(3)
    expected = nn.functional.dropout(x, p, training)
    after = torch.get_rng_state()
    slope = torch.autograd.grad(expected.square().sum(), x)[0]
    layer.generator = ours
    found = unchanged(lambda: layer(x))
    assert torch.equal(found, expected)
    assert torch.equal(torch.autograd.grad(found.square().sum(), x)[0], slope)
    assert torch.equal(ours.get_state(), after)


@pytest.mark.parametrize(
    ("shape", "n_heads"), [((32, 5, 16), 4), ((6, 1, 8), 2), ((9, 20, 8), 1)]
)
def test_dropout_within_attention_is_torchs(shape, n_heads):
    x = torch.randn(shape, generator=generator())
    ours = EncoderLayer(shape[-1], n_heads, 32, 0.3)
    theirs = nn.TransformerEncoderLayer(
        shape[-1], n_heads, 32, 0.3, activation="gelu", batch_first=True
    )
    theirs.load_state_dict(ours.state_dict())
    torch.manual_seed(3)
    expected = theirs(x)
    expected.square().sum().backward()
    with drawing_from(ours, Generators(3, CPU).device):
        found = unchanged(lambda: ours(x))
    found.square().sum().backward()
    assert torch.equal(found, expected)
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one.grad, two.grad)


def options(**changes):
    values = {
        "learning_rate": 1e-2,
        "max_epochs": 3,
        "batch_size": 16,
        "weight_decay": 0.1,
        "required_gain": 0.0,
        "n_iter_no_change": 2,
        "device": CPU,
        "verbose": 0,
    }
    return TrainingOptions(**{**values, **changes})


def trained_by_hand(network, windows):
    """The same training, with torch's own generator throughout."""
    settings = options()
    optimizer = torch.optim.AdamW(
        network.parameters(), betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    n_steps = 3 * -(-len(windows) // 16)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=settings.learning_rate,
        total_steps=n_steps + 1,
        pct_start=0.05 + 1e-6,
        anneal_strategy="linear",
        div_factor=10,
        cycle_momentum=False,
    )
    network.train()
    for _ in range(settings.max_epochs):
        for index in torch.randperm(len(windows), dtype=torch.int32).split(16):
            optimizer.zero_grad()
            sum(network.losses(*windows[index.long()]).values()).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            cycle.step()
    return network


@pytest.mark.parametrize("name", TRAINED)
def test_training_draws_what_torchs_own_generator_would(name):
    torch.manual_seed(5)
    network = TRAINED[name]()
    windows = Windows(
        [TABLE.to_numpy(np.float32)], lags=8, horizon=getattr(network, "horizon", 1)
    )
    expected = trained_by_hand(network, windows)

    def fit():
        generators = Generators(5, CPU)
        with initialised_by(generators.cpu):
            network = TRAINED[name]()
        train(network, windows, None, options(), generators)
        return network

    assert_same(unchanged(fit), expected)


FORECASTERS = [getattr(skvar, name) for name in skvar.forecasting.__all__]


def fitted(forecaster, seed):
    return forecaster(8, max_epochs=2, random_state=seed).fit(TABLE, fh=[1, 2])


def classified(seed):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 2, 20)), np.repeat(["a", "b"], 6)
    settings = {"early_stopping": True, "validation_fraction": 0.4}
    return AarenClassifier(max_epochs=2, random_state=seed, **settings).fit(X, y)


FITS = {
    **{f.__name__: lambda seed, f=f: fitted(f, seed) for f in FORECASTERS},
    "AarenClassifier": classified,
}


@pytest.mark.parametrize("name", FITS)
def test_fits_leave_nothing_behind(name):
    model = unchanged(lambda: FITS[name](0))
    for network in (model.network_, copy.deepcopy(model).network_):
        for module in network.modules():
            held = vars(module).values()
            assert not any(isinstance(value, torch.Generator) for value in held)
    assert b"Generator" not in pickle.dumps(model.network_)


def test_training_that_fails_leaves_nothing_behind():
    network = TRAINED["samovar"]()
    dropout, seen = network.var.dropout, []

    def fail(*batch):
        seen.append(dropout.generator)
        raise ZeroDivisionError

    network.losses = fail
    windows, generators = Windows([TABLE.to_numpy()], 8, 2), Generators(0, CPU)
    with pytest.raises(ZeroDivisionError):
        train(network, windows, None, options(), generators)
    assert seen == [generators.device]
    assert dropout.generator is None


def test_fits_in_threads_are_what_they_are_alone():
    todo = [(name, seed) for seed in range(2) for name in FITS]
    alone = [FITS[name](seed) for name, seed in todo]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda fit: FITS[fit[0]](fit[1]), todo))
    assert torch.equal(torch.get_rng_state(), before)
    for one, two in zip(alone, together, strict=True):
        assert one.loss_curve_ == two.loss_curve_
        assert_same(one.network_, two.network_)


FORK = """
import sys, threading, time, warnings
warnings.simplefilter("ignore")
from test_sharing import FORECASTERS, TABLE, in_child

def fit():
    FORECASTERS["samovar"].clone().fit(TABLE).predict([1])

first = threading.Thread(target=fit)
first.start()
while "torch._dynamo" not in sys.modules and first.is_alive():
    time.sleep(0.001)
found = in_child(fit, seconds=120)
first.join()
assert found == 0, found
"""


@forks
def test_a_child_forked_while_torch_imports_for_the_first_fit_can_fit(tmp_path):
    (tmp_path / "fork.py").write_text(FORK)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "fork.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_order_in_memory_does_not_matter(us_change):
    """Sums of the same numbers in another order would differ by rounding."""
    values, names = us_change.to_numpy(), list("abcde")
    twice = pd.DataFrame(np.concatenate([values, values]), columns=names)
    tables = [
        pd.DataFrame(np.ascontiguousarray(values), columns=names, copy=False),
        pd.DataFrame(np.asfortranarray(values), columns=names, copy=False),
        pd.DataFrame(dict(zip(names, values.T, strict=True))),
        twice[: len(values)],
    ]
    forecaster = skvar.LinearAttentionVAR(4, n_layers=0)
    found = []
    for table in tables:
        X, y = table[names[3:]], table[names[:3]]
        fitted = forecaster.clone().fit(y[:180], X=X[:180])
        ends = fitted.predict_interval([1, 2], X=X[180:])
        found.append(np.hstack([ends, fitted.predict([1, 2], X=X[180:])]))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
