"""Every form of every attention against its definition, outputs and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skvar import _attention
from skvar.nn import (
    aaren_attention,
    linear_attention,
    merge_states,
    probsparse_attention,
)

FORMS = ["materialised", "parallel", "chunked", "recurrent", "auto"]


def draw(n, *, batch=2, heads=3, d=4, e=5, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    q, k = normal(2, batch, n, heads, d).requires_grad_().unbind()
    v, state = normal(batch, n, heads, e), normal(batch, heads, d, e)
    return q, k, v.requires_grad_(), state.requires_grad_()


def by_definition(q, k, v, state):
    """o_t = S_0^T q_t + sum_{i <= t} (q_t . k_i) v_i, one term at a time."""
    out = []
    for t in range(q.shape[1]):
        out.append(torch.einsum("bhd,bhde->bhe", q[:, t], state))
        for i in range(t + 1):
            out[t] = out[t] + (q[:, t] * k[:, i]).sum(-1, keepdim=True) * v[:, i]
    return torch.stack(out, dim=1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [1, 2, 7, 63, 64, 65, 130])
def test_equals_definition_with_gradients(form, n):
    q, k, v, state = draw(n)
    expected = by_definition(q, k, v, state)
    out, final = linear_attention(q, k, v, initial_state=state, form=form)
    assert torch.allclose(out, expected, rtol=0, atol=1e-10)
    expected_final = state + torch.einsum("bnhd,bnhe->bhde", k, v)
    assert torch.allclose(final, expected_final, rtol=0, atol=1e-10)
    weight = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view_as(out)
    inputs = [q, k, v, state]
    ours = torch.autograd.grad((out * weight).sum() + final.sum(), inputs)
    theirs = torch.autograd.grad(
        (expected * weight).sum() + expected_final.sum(), inputs
    )
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_no_new_tokens_keep_the_state(form):
    q, k, v, state = draw(0)
    out, final = linear_attention(q, k, v, initial_state=state, form=form)
    assert out.shape == (2, 0, 3, 5)
    assert torch.equal(final, state)


@pytest.mark.parametrize("form", FORMS)
@given(n=st.integers(0, 150), data=st.data())
@settings(max_examples=20, deadline=None)
def test_split_sequence_is_one_pass(form, n, data):
    cut = data.draw(st.integers(0, n))
    q, k, v, state = draw(n, batch=1, heads=2, d=3, e=2)
    whole, end = linear_attention(q, k, v, initial_state=state, form=form)
    head, middle = linear_attention(
        q[:, :cut], k[:, :cut], v[:, :cut], initial_state=state, form=form
    )
    tail, final = linear_attention(
        q[:, cut:], k[:, cut:], v[:, cut:], initial_state=middle, form=form
    )
    joined = torch.cat([head, tail], dim=1)
    assert torch.allclose(joined, whole, rtol=0, atol=1e-10)
    assert torch.allclose(final, end, rtol=0, atol=1e-10)
    inputs = [q, k, v, state]
    split, once = (
        torch.autograd.grad(
            out.square().sum() + last.sum(), inputs, materialize_grads=True
        )
        for out, last in ((joined, final), (whole, end))
    )
    for a, b in zip(split, once, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-9)


def test_float32_stays_float32_and_close():
    q, k, v, state = (x.detach() for x in draw(200))
    exact = by_definition(q, k, v, state)
    for form in FORMS:
        out, final = linear_attention(
            q.float(), k.float(), v.float(), initial_state=state.float(), form=form
        )
        assert out.dtype == final.dtype == torch.float32
        # Sums of 200 terms round to at most about 200 float32 epsilons of their size.
        bound = 200 * torch.finfo(torch.float32).eps * exact.abs().max()
        assert (out - exact).abs().max() < bound


def test_unknown_form():
    q, k, v, _ = draw(3)
    with pytest.raises(ValueError, match="form must be"):
        linear_attention(q, k, v, form="fast")
    with pytest.raises(ValueError, match="form must be"):
        aaren_attention(q[..., 0], v, form="fast")


def draw_scored(n, *, batch=2, heads=3, d=4, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    scores, v = scale * normal(batch, n, heads), normal(batch, n, heads, d)
    return scores.requires_grad_(), v.requires_grad_()


def softmax_attention(scores, v, mask=None, decay=0.0):
    """Attention by torch: the one query expanded to every token, its scores as keys."""
    n = scores.shape[1]
    keys = scores.transpose(1, 2).unsqueeze(-1)
    seen = torch.ones(n, n, dtype=torch.bool).tril()
    if mask is not None:
        seen = seen & mask[:, None, None, :]
    age = torch.arange(n)[:, None] - torch.arange(n)
    bias = -age * torch.as_tensor(decay).reshape(-1, 1, 1)
    seen = bias.to(v.dtype).masked_fill(~seen, -float("inf"))
    out = torch.nn.functional.scaled_dot_product_attention(
        torch.ones_like(keys), keys, v.transpose(1, 2), attn_mask=seen, scale=1.0
    )
    return out.transpose(1, 2)


def with_gradients(out, inputs):
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    loss = (out * weight).sum()
    return out, *torch.autograd.grad(loss, inputs, materialize_grads=True)


# Tokens, and how many of them are a chunk: the last of each list are chunks of chunks.
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("n", "chunk"),
    [
        (1, 64),
        (2, 64),
        (7, 64),
        (63, 64),
        (64, 64),
        (65, 64),
        (130, 64),
        (8 * 9 + 3, 8),
    ],
)
def test_aaren_is_softmax_attention_with_one_query(form, n, chunk, monkeypatch):
    monkeypatch.setattr(_attention, "CHUNK", chunk)
    inputs = draw_scored(n, batch=1)
    expected = with_gradients(softmax_attention(*inputs), inputs)
    ours = with_gradients(aaren_attention(*inputs, form=form)[0], inputs)
    for a, b in zip(ours, expected, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-10)
    single = [x.detach().float().requires_grad_() for x in inputs]
    ours = with_gradients(aaren_attention(*single, form=form)[0], single)
    assert {x.dtype for x in ours} == {torch.float32}
    for a, b in zip(ours, expected, strict=True):
        # Gradients are sums over tokens: relative to the largest.
        assert (a - b).abs().max() < 1e-5 * max(1, b.abs().max())


# torch's own forward mode meets it.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("form", FORMS)
def test_aaren_in_forward_mode_and_second_derivatives(form, monkeypatch):
    monkeypatch.setattr(_attention, "CHUNK", 2)
    inputs = *draw_scored(5, batch=1, heads=1, d=2), torch.tensor(0.3).double()
    inputs[2].requires_grad_()

    def outputs(scores, v, decay):
        return aaren_attention(scores, v, decay=decay.reshape(1), form=form)[0]

    assert torch.autograd.gradcheck(outputs, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(outputs, inputs)


@pytest.mark.parametrize("form", FORMS)
def test_aaren_in_half_precision(form):
    n = 512
    scores, v = torch.zeros(1, n, 1), torch.zeros(1, n, 1, 1)
    v[:, n // 2 :] = 1
    out, state = aaren_attention(scores.bfloat16(), v.bfloat16(), form=form)
    assert out.dtype == torch.bfloat16
    assert out[0, -1, 0, 0] == 0.5
    assert {x.dtype for x in state} == {torch.float32}
    out, _ = aaren_attention(scores.half(), v, form=form)
    assert out.dtype == torch.float32
    mask = torch.arange(n).expand(1, n) == n // 2
    out, _ = aaren_attention(scores.half(), v.half(), mask=mask, decay=20.0, form=form)
    assert (out[0, n // 2 :] == 1).all()


def test_aaren_names_what_does_not_fit():
    scores, v = draw_scored(5)
    with pytest.raises(ValueError, match="do not have the same batch"):
        aaren_attention(scores[:1], v)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("as_scores", [False, True])
def test_aaren_leaves_masked_tokens_out(form, as_scores):
    scores, v = draw_scored(130)
    mask = torch.rand(2, 130, generator=torch.Generator().manual_seed(1)) < 0.5
    mask[0, :70], mask[1, 0] = False, True
    hidden = v.detach().masked_fill(~mask[..., None, None], float("nan"))
    hidden.requires_grad_()
    if as_scores:
        given = scores.masked_fill(~mask.unsqueeze(-1), -float("inf"))
        out, final = aaren_attention(given, hidden, form=form)
    else:
        out, final = aaren_attention(scores, hidden, mask=mask, form=form)
    assert (out[0, :70] == 0).all()
    first = int(mask[0].int().argmax())
    expected = softmax_attention(scores, v, mask)
    assert torch.allclose(out[0, first:], expected[0, first:], rtol=0, atol=1e-10)
    assert torch.allclose(out[1], expected[1], rtol=0, atol=1e-10)
    ours = torch.autograd.grad(out.square().sum(), [scores, hidden])
    loss = expected[0, first:].square().sum() + expected[1].square().sum()
    for a, b in zip(ours, torch.autograd.grad(loss, [scores, v]), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-10)
    assert all(torch.isfinite(part).all() for part in final)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["wild", "rising", "falling", "steps", "all masked"])
def test_aaren_is_finite_at_extremes(form, dtype, kind):
    n = 200
    scores, v = (x.detach() for x in draw_scored(n, scale=1000.0))
    ramp = torch.linspace(-1000, 1000, n, dtype=torch.float64)[:, None].expand(2, n, 3)
    scores = {
        "wild": scores.clamp(-1000, 1000),
        "rising": ramp,
        "falling": ramp.flip(1),
        "steps": 1000 * torch.sign(scores),
        "all masked": torch.full_like(scores, -float("inf")),
    }[kind]
    expected = softmax_attention(scores, v).nan_to_num(0)
    inputs = [x.to(dtype).requires_grad_() for x in (scores, v)]
    out, final = aaren_attention(*inputs, form=form)
    # A score of 1000 is rounded by 2^-15, its weight by as much.
    assert (out - expected).abs().max() < (1e-10 if dtype == torch.float64 else 3e-4)
    gradients = torch.autograd.grad(out.square().sum(), inputs)
    assert all(torch.isfinite(x).all() for x in (*final, *gradients))


@pytest.mark.parametrize("form", FORMS)
def test_aaren_takes_no_tokens(form):
    scores, v = draw_scored(9)
    _, state = aaren_attention(scores, v)
    out, same = aaren_attention(scores[:, :0], v[:, :0], initial_state=state, form=form)
    assert out.shape == (2, 0, 3, 4)
    for a, b in zip(same, state, strict=True):
        assert torch.equal(a, b)
    out, nothing = aaren_attention(scores[:, :0], v[:, :0], form=form)
    assert out.shape == (2, 0, 3, 4)
    for a, b in zip(merge_states(nothing, state), state, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("form", FORMS)
@given(n=st.integers(1, 150), data=st.data())
@settings(max_examples=20, deadline=None)
def test_aaren_goes_on_from_a_state(form, n, data):
    cut = data.draw(st.integers(0, n))
    scores, v = draw_scored(n, batch=1, heads=2, d=2, scale=data.draw(st.floats(0, 50)))
    whole, end = aaren_attention(scores, v, form=form)
    head, middle = aaren_attention(scores[:, :cut], v[:, :cut], form=form)
    tail, final = aaren_attention(
        scores[:, cut:], v[:, cut:], initial_state=middle, form=form
    )
    _, other = aaren_attention(scores[:, cut:], v[:, cut:], form=form)
    joined = torch.cat([head, tail], dim=1)
    ours, expected = (with_gradients(x, [scores, v]) for x in (joined, whole))
    for a, b in zip(ours, expected, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-10)
    for state in (final, merge_states(middle, other)):
        assert [x.shape for x in state] == [(1, 2), (1, 2), (1, 2, 2)]
        for a, b in zip(state, end, strict=True):
            assert torch.allclose(a, b, rtol=1e-12, atol=1e-10)


@given(
    tops=st.lists(st.floats(-1000, 1000), min_size=3, max_size=3),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_merging_is_associative_with_an_identity(tops, seed):
    generator = torch.Generator().manual_seed(seed)
    a, b, c = (
        (
            torch.full((1, 1), top, dtype=torch.float64),
            torch.rand(1, 1, generator=generator, dtype=torch.float64),
            torch.randn(1, 1, 2, generator=generator, dtype=torch.float64),
        )
        for top in tops
    )
    left = merge_states(merge_states(a, b), c)
    right = merge_states(a, merge_states(b, c))
    for x, y in zip(left, right, strict=True):
        assert torch.allclose(x, y, rtol=1e-12, atol=1e-12)
    zero = torch.zeros(1, 1, dtype=torch.float64)
    identity = (zero - float("inf"), zero, torch.zeros_like(a[2]))
    for merged in (merge_states(identity, a), merge_states(a, identity)):
        assert all(torch.equal(x, y) for x, y in zip(merged, a, strict=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("n", "chunk"), [(1, 64), (7, 64), (64, 64), (65, 64), (130, 64), (8 * 8 + 14, 8)]
)
def test_aaren_forgets_at_the_rate_of_its_decay(form, n, chunk, monkeypatch):
    monkeypatch.setattr(_attention, "CHUNK", chunk)
    scores, v = draw_scored(n, batch=1)
    decay = torch.tensor([0.0, 0.01, 2.0], dtype=torch.float64, requires_grad=True)
    inputs = [scores, v, decay]
    mask = torch.rand(1, n, generator=torch.Generator().manual_seed(0)) < 0.7
    mask[:, 0] = True
    expected = with_gradients(softmax_attention(scores, v, mask, decay), inputs)
    options = {"decay": decay, "form": form}
    out, end = aaren_attention(scores, v, mask=mask, **options)
    for a, b in zip(with_gradients(out, inputs), expected, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-9)
    cut = n // 3
    head, tail = (
        {"scores": scores[:, run], "v": v[:, run], "mask": mask[:, run], **options}
        for run in (slice(cut), slice(cut, n))
    )
    first, state = aaren_attention(**head)
    second, _ = aaren_attention(**tail, initial_state=state)
    joined = torch.cat([first, second], dim=1)
    for a, b in zip(with_gradients(joined, inputs), expected, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-9)
    merged = merge_states(state, aaren_attention(**tail)[1], age=(n - cut) * decay)
    for a, b in zip(merged, end, strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-9)


def test_aaren_keeps_its_digits_in_long_sequences():
    scores, v = draw_scored(20_000, batch=1)
    decay = torch.tensor([0.001, 0.1, 1.0], requires_grad=True)

    def early_and_late(scores, v, decay):
        out, _ = aaren_attention(scores, v, decay=decay)
        loss = out[:, 10:20].sum() + out[:, -10:].sum()
        return out, torch.autograd.grad(loss, decay)[0]

    exact = early_and_late(scores, v, decay.double())
    ours = early_and_late(scores.float(), v.float(), decay)
    assert (ours[0] - exact[0]).abs().max() < 1e-5
    # Sums of 60 terms, relative to the largest.
    assert (ours[1] - exact[1]).abs().max() < 1e-5 * exact[1].abs().max()


def test_a_learned_state_gets_its_gradient():
    scores, v = draw_scored(6, batch=1, heads=2, d=2)
    state = [x.detach().requires_grad_() for x in aaren_attention(scores, v)[1]]
    decay = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)

    def outputs_and_sums(m, u, w, decay):
        out, (m, u, w) = aaren_attention(
            scores, v, initial_state=(m, u, w), decay=decay
        )
        # What the sums stand for, whatever they are relative to.
        return out, m.exp() * u, m.exp().unsqueeze(-1) * w

    assert torch.autograd.gradcheck(outputs_and_sums, (*state, decay))


def probsparse_by_definition(q, k, v, sample, n_top, causal):
    """One head of one sequence at a time, one query at a time."""
    out = torch.empty(*q.shape[:3], v.shape[3], dtype=v.dtype)
    for b in range(q.shape[0]):
        for h in range(q.shape[2]):
            queries, keys, values = q[b, :, h], k[b, :, h], v[b, :, h]
            measure = []
            for query, places in zip(queries, sample.tolist(), strict=True):
                products = [(query @ keys[place]).item() for place in places]
                measure.append(max(products) - sum(products) / len(keys))
            order = sorted(range(len(queries)), key=lambda t: -measure[t])
            for t, query in enumerate(queries):
                seen = t + 1 if causal else len(keys)
                scores = keys[:seen] @ query / query.numel() ** 0.5
                weights = scores.exp() / scores.exp().sum()
                if t not in order[:n_top]:
                    weights = torch.ones(seen).double() / (1 if causal else seen)
                out[b, t, h] = weights @ values[:seen]
    return out


@pytest.fixture(params=["all products", "gathered keys"])
def either_way(request, monkeypatch):
    """Products with all keys, or with those of the sample alone."""
    few = {"all products": 1000, "gathered keys": 0}
    monkeypatch.setattr(_attention, "_FEW_KEYS", few[request.param])


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("n_keys", "causal"), [(17, True), (17, False), (9, False)])
def test_probsparse_attention_is_its_definition(n_keys, causal):
    q, _, _, _ = draw(17)
    _, k, v, _ = draw(n_keys, seed=1)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randint(n_keys, (17, 3), generator=generator)
    inputs = [q, k, v]
    ours = probsparse_attention(q, k, v, sample, 5, causal=causal)
    theirs = probsparse_by_definition(q, k, v, sample, 5, causal)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
    weight = torch.linspace(-1, 1, ours.numel(), dtype=torch.float64).view_as(ours)
    ours, theirs = (
        torch.autograd.grad((out * weight).sum(), inputs) for out in (ours, theirs)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
def test_probsparse_attention_of_all_queries_is_softmax_attention(causal):
    q, k, v, _ = draw(40)
    sample = torch.zeros(40, 1, dtype=torch.int64)
    out = probsparse_attention(q, k, v, sample, 40, causal=causal)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(x.transpose(1, 2) for x in (q, k, v)), is_causal=causal
    )
    assert torch.allclose(out, expected.transpose(1, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
def test_probsparse_attention_of_many_keys_is_that_of_few(causal, monkeypatch):
    n = _attention._FEW_KEYS + 1
    q, k, v, _ = draw(n, batch=1, heads=2)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randint(n, (n, 30), generator=generator)
    gathered = probsparse_attention(q, k, v, sample, 30, causal=causal)
    monkeypatch.setattr(_attention, "_FEW_KEYS", n)
    out = probsparse_attention(q, k, v, sample, 30, causal=causal)
    assert torch.allclose(out, gathered, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("sample", "n_top", "causal", "message"),
    [
        ((6, 3), 2, True, "causal=True needs as many queries as keys, not 6 and 10"),
        ((5, 3), 2, False, r"sample has the shape \(5, 3\), not .* with N_q=6"),
        ((1, 3), 2, False, r"sample has the shape \(1, 3\), not"),
        ((7, 3), 2, False, r"sample has the shape \(7, 3\), not"),
        ((6, 0), 2, False, r"sample has the shape \(6, 0\), not .* U of at least 1"),
        ((6,), 2, False, r"sample has the shape \(6,\), not"),
        ((6, 3), 7, False, "n_top=7 must be from 1 to the number of queries, 6"),
        ((6, 3), 0, False, "n_top=0 must be from 1"),
    ],
)
def test_probsparse_attention_names_what_does_not_fit(sample, n_top, causal, message):
    q, k = torch.randn(2, 6, 3, 4), torch.randn(2, 10, 3, 4)
    places = torch.zeros(sample, dtype=torch.int64)
    with pytest.raises(ValueError, match=message):
        probsparse_attention(q, k, k, places, n_top, causal=causal)


@pytest.mark.usefixtures("either_way")
def test_probsparse_attention_needs_no_more_keys_than_queries():
    q, k = torch.randn(2, 10, 3, 4), torch.randn(2, 6, 3, 4)
    places = torch.zeros(10, 1, dtype=torch.int64)
    with pytest.raises(ValueError, match="not 10 and 6"):
        probsparse_attention(q, k, k, places, 5, causal=True)
    assert probsparse_attention(q, k, k, places, 5).shape == q.shape
