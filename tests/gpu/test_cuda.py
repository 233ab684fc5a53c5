"""The same results on a CUDA device as on the CPU; runs where there is one."""

import joblib
import numpy as np
import pytest
import torch
from sktime.datasets import load_unit_test

import skvar
from skvar import (
    AarenClassifier,
    AarenForecaster,
    LinearAttentionVAR,
    SAMoVARForecaster,
)
from skvar.nn import aaren_attention, linear_attention

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no CUDA device"
)
FORECASTERS = {
    "linear attention": LinearAttentionVAR(3, tracking_rows=8, horizon=4, max_epochs=2),
    "samovar": SAMoVARForecaster(12, horizon=4, max_epochs=2),
    "paper": SAMoVARForecaster(12, horizon=4, max_epochs=2, static_path=None),
    "aaren": AarenForecaster(12, horizon=4, max_epochs=2),
    "aaren alone": AarenForecaster(12, horizon=4, max_epochs=2, static_path=None),
}


@pytest.mark.parametrize("form", ["materialised", "parallel", "chunked", "recurrent"])
def test_attention_is_that_of_the_cpu(form):
    tokens = [torch.randn(2, 150, 3, 8).double() for _ in range(3)]
    here, state = linear_attention(*tokens, form=form)
    there, state_there = linear_attention(*(x.cuda() for x in tokens), form=form)
    torch.testing.assert_close(there.cpu(), here)
    torch.testing.assert_close(state_there.cpu(), state)


@pytest.mark.parametrize("form", ["materialised", "parallel", "chunked", "recurrent"])
def test_attention_of_one_query_is_that_of_the_cpu(form):
    scores, v = torch.randn(2, 150, 3).double(), torch.randn(2, 150, 3, 8).double()
    mask = torch.rand(2, 150) < 0.8
    here, state = aaren_attention(scores, v, mask=mask, decay=0.1, form=form)
    there, state_there = aaren_attention(
        scores.cuda(), v.cuda(), mask=mask.cuda(), decay=0.1, form=form
    )
    torch.testing.assert_close(there.cpu(), here)
    torch.testing.assert_close([x.cpu() for x in state_there], list(state))


def test_classifier():
    X, y = load_unit_test(split="train", return_X_y=True)
    classifier = AarenClassifier(max_epochs=3, device="cuda", random_state=0).fit(X, y)
    assert classifier.device_.type == "cuda"
    probabilities = classifier.rolling_predict_proba(X)[0]
    stream = classifier.stream()
    pushed = [stream.push([value]) for value in X.iloc[0, 0]]
    np.testing.assert_allclose(pushed, probabilities, atol=1e-3)


@pytest.mark.parametrize("name", FORECASTERS)
def test_fit_predict_and_save(name, us_change, tmp_path):
    forecaster = FORECASTERS[name].clone().set_params(device="cuda", random_state=0)
    forecaster.fit(us_change)
    assert forecaster.device_.type == "cuda"
    again = forecaster.clone().fit(us_change)
    expected = forecaster.predict([1, 2, 9])
    np.testing.assert_allclose(again.predict([1, 2, 9]), expected, rtol=1e-3)
    pushed = forecaster.clone().fit(us_change[:-1]).stream().push(us_change.iloc[-1])
    assert np.isfinite(pushed).all()
    matrices, intercepts = forecaster.var_matrices(us_change, return_intercept=True)
    newest_first = us_change.to_numpy()[: -matrices.shape[1] - 1 : -1]
    rebuilt = intercepts[-1] + np.einsum("loi,li->o", matrices[-1], newest_first)
    window = us_change[-forecaster.network_.lags :]
    ahead = forecaster.predict(window).iloc[0]
    np.testing.assert_allclose(rebuilt, ahead, rtol=1e-3, atol=1e-3)
    joblib.dump(forecaster, tmp_path / "pickled")
    skvar.save(forecaster, tmp_path / "saved")
    skvar.save(forecaster, tmp_path / "short", history=False)
    for loaded in (
        joblib.load(tmp_path / "pickled"),
        skvar.load(tmp_path / "saved"),
        skvar.load(tmp_path / "short"),
    ):
        assert loaded.device_.type == "cpu"
        np.testing.assert_allclose(
            loaded.predict([1, 2, 9]), expected, rtol=1e-3, atol=1e-3
        )


def test_a_fit_goes_on_from_its_checkpoint(us_change, tmp_path, monkeypatch):
    monkeypatch.setattr("skvar._training.checkpoint._SECONDS", 0.0)
    forecaster = FORECASTERS["samovar"].clone()
    forecaster.set_params(device="cuda", random_state=0, max_epochs=6, dropout=0.2)
    unbroken = forecaster.clone().fit(us_change)
    step, steps = torch.optim.AdamW.step, []

    def interrupted(self, *args, **kwargs):
        steps.append(1)
        if len(steps) == 15:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    forecaster.set_params(checkpoint=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(torch.optim.AdamW, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            forecaster.fit(us_change)
    forecaster.fit(us_change)
    np.testing.assert_allclose(forecaster.loss_curve_, unbroken.loss_curve_, rtol=1e-3)
    np.testing.assert_allclose(
        forecaster.predict([1, 2]), unbroken.predict([1, 2]), rtol=1e-3, atol=1e-3
    )


def test_random_state_of_the_device_is_left_as_found(us_change):
    before = torch.cuda.get_rng_state()
    FORECASTERS["samovar"].clone().set_params(device="cuda").fit(us_change)
    assert torch.equal(torch.cuda.get_rng_state(), before)
