"""Every form of linear attention against its definition, outputs and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skvar.nn import linear_attention

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
