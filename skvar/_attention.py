"""Attention as functions on tensors.

Causal attention whose past is a state of constant size comes in forms that agree.

Linear attention computes ``o_t = sum_{i <= t} (q_t . k_i) v_i``: with the observation
as key, ``v_i q_t^T`` is the matrix of a vector autoregression at lag ``t - i`` (Lu &
Yang 2025, arXiv:2502.07244, section 3). The sums over the past are carried by the
state ``S_t = sum_{i <= t} k_i v_i^T``, so that ``o_t = q_t S_t`` (row vectors).

Softmax attention has such a state if its query is the same at every token: ``o_t =
sum_{i <= t} e^{s_i} v_i / sum_{i <= t} e^{s_i}`` with ``s_i = q . k_i`` (Feng et al.
2024, arXiv:2405.13956, section 3). It is a prefix scan over the triples (m, u, w) of
the greatest score and both sums, taken relative to it.

ProbSparse attention (Zhou et al. 2021, arXiv:2012.07436) is softmax attention of those
queries alone whose weights promise to be far from equal.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64

# Greatest score m (B, H), sum of weights u (B, H) and weighted sum of values
# w (B, H, d), both relative to e^m.
AarenState = tuple[Tensor, Tensor, Tensor]


def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    initial_state: Tensor | None = None,
    form: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Causal linear attention without normalisation.

    Parameters
    ----------
    q, k : Tensor of shape (B, N, H, d)
        Queries and keys of N tokens and H heads; N may be 0.
    v : Tensor of shape (B, N, H, e)
        Values.
    initial_state : Tensor of shape (B, H, d, e), optional
        The state after the tokens that came before; None stands for zeros.
    form : {"auto", "materialised", "parallel", "chunked", "recurrent"}
        How to compute it. "materialised" keeps every state (the plain definition,
        O(N d e) memory), "parallel" every pair of tokens (O(N^2)), "chunked" is
        parallel inside chunks and carries the state between them (linear in N),
        "recurrent" takes one token at a time. "auto" picks "parallel" for short
        and "chunked" for long sequences.

    Returns
    -------
    out : Tensor of shape (B, N, H, e)
    final_state : Tensor of shape (B, H, d, e)

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import linear_attention
    >>> q, k, v = torch.randn(3, 1, 100, 2, 4).double()
    >>> out, _ = linear_attention(q, k, v)
    >>> head, state = linear_attention(q[:, :60], k[:, :60], v[:, :60])
    >>> tail, _ = linear_attention(
    ...     q[:, 60:], k[:, 60:], v[:, 60:], initial_state=state
    ... )
    >>> torch.allclose(out, torch.cat([head, tail], dim=1))
    True
    """
    out = linear_attention_output(q, k, v, initial_state=initial_state, form=form)
    k, v = (x.transpose(1, 2) for x in (k, v))
    added = k.mT @ v
    return out, added if initial_state is None else initial_state + added


def linear_attention_output(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    initial_state: Tensor | None = None,
    form: str = "auto",
) -> Tensor:
    """The output alone of `linear_attention`: the state may be larger by far."""
    if form == "auto":
        form = "parallel" if q.shape[1] <= 2 * CHUNK else "chunked"
    _check_form(form, _FORMS)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if q.shape[2] == 0:
        return v.transpose(1, 2)
    return _FORMS[form](q, k, v, initial_state).transpose(1, 2)


def _materialised(q: Tensor, k: Tensor, v: Tensor, state: Tensor | None) -> Tensor:
    states = torch.cumsum(k.unsqueeze(-1) * v.unsqueeze(-2), dim=2)
    if state is not None:
        states = states + state.unsqueeze(2)
    return (q.unsqueeze(-2) @ states).squeeze(-2)


def _parallel(q: Tensor, k: Tensor, v: Tensor, state: Tensor | None) -> Tensor:
    out = (q @ k.mT).tril() @ v
    return out if state is None else out + q @ state


def _chunked(q: Tensor, k: Tensor, v: Tensor, state: Tensor | None) -> Tensor:
    n = q.shape[2]
    q, k, v = (
        F.pad(x, (0, 0, 0, -n % CHUNK)).unflatten(2, (-1, CHUNK)) for x in (q, k, v)
    )
    added = (k.mT @ v)[:, :, :-1]
    first = torch.zeros_like(added[:, :, :1]) if state is None else state.unsqueeze(2)
    states = torch.cumsum(torch.cat([first, added], dim=2), dim=2)
    out = (q @ k.mT).tril() @ v + q @ states
    return out.flatten(2, 3)[:, :, :n]


def _recurrent(q: Tensor, k: Tensor, v: Tensor, state: Tensor | None) -> Tensor:
    out = []
    for q_t, k_t, v_t in zip(*(x.unbind(2) for x in (q, k, v)), strict=True):
        added = k_t.unsqueeze(-1) * v_t.unsqueeze(-2)
        state = added if state is None else state + added
        out.append((q_t.unsqueeze(-2) @ state).squeeze(-2))
    return torch.stack(out, dim=2)


_FORMS: dict[str, Callable] = {
    "materialised": _materialised,
    "parallel": _parallel,
    "chunked": _chunked,
    "recurrent": _recurrent,
}


def aaren_attention(
    scores: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    decay: Tensor | float = 0.0,
    initial_state: AarenState | None = None,
    form: str = "auto",
) -> tuple[Tensor, AarenState]:
    """Causal softmax attention of a query that is the same at every token.

    Parameters
    ----------
    scores : Tensor of shape (B, N, H)
        Products of query and keys of N tokens and H heads, finite or -inf, which leaves
        a token out; N may be 0.
    v : Tensor of shape (B, N, H, d)
        Values.
    mask : Tensor of bool of shape (B, N), optional
        False leaves a token out; those before it age nevertheless.
    decay : float or Tensor of shape (H,), default=0.0
        What a score loses with each token after its own: at token t, ``score_i - decay
        * (t - i)`` stands for ``score_i``, in the state as well. 0 is the paper's.
    initial_state : tuple of Tensors of shapes (B, H), (B, H), (B, H, d), optional
        The state (m, u, w) after the tokens that came before: the greatest score, and
        the sums of ``exp(score - m)`` and of ``exp(score - m) * v``. None stands for
        (-inf, 0, 0).
    form : {"auto", "materialised", "parallel", "chunked", "recurrent"}
        How to compute it. "materialised" keeps the weights of all pairs of tokens (the
        plain definition), "parallel" is a prefix scan in log2(N) steps, "chunked" is
        materialised inside chunks and a scan over these (linear in N), "recurrent"
        takes one token at a time. "auto" picks "recurrent" for one token, else
        "chunked".

    Returns
    -------
    out : Tensor of shape (B, N, H, d)
        Zeros where no token has been seen.
    final_state : tuple of Tensors
        Like ``initial_state``, at least in single precision; m is finite where no token
        has been seen, and has no gradient: those of u and w are as if it were given.

    Raises
    ------
    ValueError
        If scores and values are not of the same tokens, or there is no such form.

    References
    ----------
    .. [1] Feng, L. et al. (2024). Attention as an RNN. arXiv:2405.13956.

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import aaren_attention
    >>> scores, v = torch.randn(1, 100, 2), torch.randn(1, 100, 2, 4)
    >>> out, _ = aaren_attention(scores, v)
    >>> _, state = aaren_attention(scores[:, :60], v[:, :60])
    >>> tail, _ = aaren_attention(scores[:, 60:], v[:, 60:], initial_state=state)
    >>> torch.allclose(out[:, 60:], tail, atol=1e-5)
    True
    """
    if form == "auto":
        form = "recurrent" if scores.shape[1] == 1 else "chunked"
    _check_form(form, _SCANS)
    if scores.shape != v.shape[:3]:
        raise ValueError(
            f"scores {tuple(scores.shape)} and v {tuple(v.shape)} do not have the same "
            "batch, tokens and heads."
        )
    given = torch.promote_types(scores.dtype, v.dtype)
    # Running sums outgrow the digits of half precision.
    dtype = torch.promote_types(given, torch.float32)
    scores, v = scores.to(dtype), v.to(dtype)
    decay = torch.as_tensor(decay, dtype=dtype, device=v.device).expand(v.shape[2])
    seen = scores != -math.inf
    if mask is not None:
        seen = seen & mask.bool().unsqueeze(-1)
    m = torch.where(seen, scores, _least(scores))
    u, w = seen.to(dtype), torch.where(seen.unsqueeze(-1), v, 0.0)
    if initial_state is not None:
        initial_state = tuple(x.to(dtype) for x in initial_state)
    if scores.shape[1] == 0:
        return v.to(given, copy=True), initial_state or _nothing(v)
    u, w, final_state = _SCANS[form](m, u, w, decay, initial_state)
    out = w / torch.where(u == 0, 1.0, u).unsqueeze(-1)
    return out.to(given), final_state


def merge_states(
    first: AarenState, second: AarenState, *, age: Tensor | float = 0.0
) -> AarenState:
    """The state of `aaren_attention` after two runs of tokens, from that after each.

    Parameters
    ----------
    first, second : tuple of Tensors of shapes (B, H), (B, H), (B, H, d)
        States (m, u, w). The operation is associative and (-inf, 0, 0) its identity.
    age : float or Tensor of shape (H,), default=0.0
        What the scores of the first run lose during the second: its number of tokens
        times their ``decay``.

    Returns
    -------
    tuple of Tensors

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import aaren_attention, merge_states
    >>> scores, v = torch.randn(1, 100, 2), torch.randn(1, 100, 2, 4)
    >>> _, (_, u, w) = aaren_attention(scores, v)
    >>> _, first = aaren_attention(scores[:, :60], v[:, :60])
    >>> _, second = aaren_attention(scores[:, 60:], v[:, 60:])
    >>> _, both_u, both_w = merge_states(first, second)
    >>> torch.allclose(both_w / both_u.unsqueeze(-1), w / u.unsqueeze(-1), atol=1e-5)
    True
    """
    aged = first[0] - age
    m = torch.maximum(aged, second[0]).detach().clamp(min=_least(aged))
    weights = (aged - m).exp(), (second[0] - m).exp()
    u = weights[0] * first[1] + weights[1] * second[1]
    weights = weights[0].unsqueeze(-1), weights[1].unsqueeze(-1)
    return m, u, weights[0] * first[2] + weights[1] * second[2]


def _one_by_one(
    m: Tensor, u: Tensor, w: Tensor, decay: Tensor, state: AarenState | None
) -> tuple[Tensor, Tensor, AarenState]:
    states, state = [], state or _nothing(w)
    for token in zip(m.unbind(1), u.unbind(1), w.unbind(1), strict=True):
        state = merge_states(state, token, age=decay)
        states.append(state[1:])
    u, w = (torch.stack(x, dim=1) for x in zip(*states, strict=True))
    return u, w, state


def _scanned(
    scan: Callable,
    m: Tensor,
    u: Tensor,
    w: Tensor,
    decay: Tensor,
    state: AarenState | None,
) -> tuple[Tensor, Tensor, AarenState]:
    """Sums at every token by a scan, the state before them as a token of its own."""
    if state is not None:
        before = (x.unsqueeze(1) for x in state)
        m, u, w = (torch.cat(x, dim=1) for x in zip(before, (m, u, w), strict=True))
    top, sums = (x.transpose(1, 2) for x in _leaf(m, u, w))
    top, sums = scan(top, sums, decay.unsqueeze(-1))
    sums = sums.transpose(1, 2)
    u, w = sums[..., -1], sums[..., :-1]
    # Copies: views would keep the whole sequence in memory.
    final_state = tuple(x.clone() for x in (top[:, :, -1], u[:, -1], w[:, -1]))
    if state is not None:
        u, w = u[:, 1:], w[:, 1:]
    return u, w, final_state


def _nothing(v: Tensor) -> AarenState:
    """The state before the first token."""
    u = v.new_zeros(len(v), v.shape[2])
    return u + _least(u), u, v.new_zeros(*u.shape, v.shape[3])


def _least(scores: Tensor) -> float:
    """A score so low that it has no weight, whose differences are no NaN."""
    return torch.finfo(scores.dtype).min / 2


def _leaf(m: Tensor, u: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest score without gradient, and the sums [w, u], which carry it.

    They are multiplied by ``exp(m - top)``, which is one and has the derivative in m
    of the sums: the scans need no gradient through their weights.
    """
    m = m.clamp(min=_least(m))
    return m.detach(), torch.cat([w, u.unsqueeze(-1)], dim=-1) * _one(m)


def _one(exponent: Tensor) -> Tensor:
    """A factor of one with the derivatives of ``exp(exponent)`` over its value."""
    return (exponent - exponent.detach()).exp().unsqueeze(-1)


def _aged(top: Tensor, sums: Tensor, age: Tensor) -> tuple[Tensor, Tensor]:
    return top - age.detach(), sums * _one(-age)


def _merge(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    top = torch.maximum(a[0], b[0])
    weights = ((part[0] - top).exp().unsqueeze(-1) for part in (a, b))
    return top, sum(w * part[1] for w, part in zip(weights, (a, b), strict=True))


# Scans over the last axis of ``top`` (..., N), the last but one of ``sums``
# (..., N, d + 1); ``decay`` (..., 1) is that of one place.


def _scan_materialised(
    top: Tensor, sums: Tensor, decay: Tensor
) -> tuple[Tensor, Tensor]:
    place = torch.arange(top.shape[-1], device=top.device)
    age = place.unsqueeze(-1) - place
    exponents = top.unsqueeze(-2) - age * decay.detach().unsqueeze(-1)
    exponents = exponents.masked_fill_(age < 0, -math.inf)
    greatest = exponents.amax(dim=-1)
    weights = exponents.sub_(greatest.unsqueeze(-1)).exp_()
    # The derivative of an age is that of its two ends.
    return greatest, weights @ (sums * _one(place * decay)) * _one(-place * decay)


def _scan_parallel(top: Tensor, sums: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
    # Hillis & Steele (1986): after the step of width 2^k every entry covers 2^(k+1).
    width = 1
    while width < top.shape[-1]:
        earlier = _aged(top[..., :-width], sums[..., :-width, :], width * decay)
        merged = _merge(earlier, (top[..., width:], sums[..., width:, :]))
        top = torch.cat([top[..., :width], merged[0]], dim=-1)
        sums = torch.cat([sums[..., :width, :], merged[1]], dim=-2)
        width *= 2
    return top, sums


def _scan_chunked(top: Tensor, sums: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
    n = top.shape[-1]
    if n <= CHUNK:
        return _scan_materialised(top, sums, decay)
    top = F.pad(top, (0, -n % CHUNK), value=_least(top)).unflatten(-1, (-1, CHUNK))
    sums = F.pad(sums, (0, 0, 0, -n % CHUNK)).unflatten(-2, (-1, CHUNK))
    top, sums = _scan_materialised(top, sums, decay.unsqueeze(-1))
    # What came before a chunk is a scan over the ends of chunks.
    ends = top[..., :-1, -1], sums[..., :-1, -1, :]
    before = _scan_chunked(*ends, CHUNK * decay)
    age = torch.arange(1, CHUNK + 1, device=top.device) * decay.unsqueeze(-1)
    before = _aged(before[0].unsqueeze(-1), before[1].unsqueeze(-2), age)
    rest = _merge(before, (top[..., 1:, :], sums[..., 1:, :, :]))
    top = torch.cat([top[..., :1, :], rest[0]], dim=-2).flatten(-2)
    sums = torch.cat([sums[..., :1, :, :], rest[1]], dim=-3).flatten(-3, -2)
    return top[..., :n], sums[..., :n, :]


_SCANS: dict[str, Callable] = {
    "materialised": partial(_scanned, _scan_materialised),
    "parallel": partial(_scanned, _scan_parallel),
    "chunked": partial(_scanned, _scan_chunked),
    "recurrent": _one_by_one,
}


def _check_form(form: str, forms: dict[str, Callable]) -> None:
    if form not in forms:
        raise ValueError(f"form must be 'auto' or one of {list(forms)}, not {form!r}.")


# Up to so many keys all products are cheaper than gathering the keys of the sample.
_FEW_KEYS = 512


def probsparse_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    sample: Tensor,
    n_top: int,
    *,
    causal: bool = False,
) -> Tensor:
    """Softmax attention of the queries whose weights are furthest from equal.

    A query is far from equal weights if its greatest product with the keys of its
    sample exceeds the sum of those products over the number of all keys by much. Other
    queries get the mean of the values.

    Parameters
    ----------
    q : Tensor of shape (B, N_q, H, d)
        Queries of H heads.
    k : Tensor of shape (B, N_k, H, d)
        Keys.
    v : Tensor of shape (B, N_k, H, e)
        Values.
    sample : Tensor of int64 of shape (N_q, U)
        The keys sampled for each query, U at least one, by their places from 0 to
        N_k - 1, which are not checked.
    n_top : int
        How many queries of each head attend, from 1 to N_q.
    causal : bool, default=False
        Whether queries attend up to their own place only, where the others get the sum
        of the values so far, as published; needs as many queries as keys.

    Returns
    -------
    Tensor of shape (B, N_q, H, e)

    Raises
    ------
    ValueError
        If the sample is not of every query, ``n_top`` not among their numbers, or with
        ``causal`` their number not that of the keys.

    References
    ----------
    .. [1] Zhou, H. et al. (2021). Informer: Beyond Efficient Transformer for Long
       Sequence Time-Series Forecasting. arXiv:2012.07436.

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import probsparse_attention
    >>> q, k, v = torch.randn(3, 1, 100, 2, 4)
    >>> sample = torch.randint(100, (100, 25))
    >>> probsparse_attention(q, k, v, sample, n_top=25).shape
    torch.Size([1, 100, 2, 4])
    """
    _check_sparsity(q.shape[1], k.shape[1], sample, n_top, causal)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    with torch.no_grad():
        if k.shape[2] <= _FEW_KEYS:
            index = sample.expand(*q.shape[:2], -1, -1)
            products = (q @ k.mT).gather(-1, index)
        else:
            products = torch.einsum("bhnd,bhnud->bhnu", q, k[:, :, sample])
        sparsity = products.amax(-1) - products.sum(-1) / k.shape[2]
        top = sparsity.topk(n_top, sorted=False).indices.unsqueeze(-1)
    scores = q.take_along_dim(top, 2) @ k.mT / math.sqrt(q.shape[-1])
    if causal:
        later = torch.arange(k.shape[2], device=k.device) > top
        scores = scores.masked_fill(later, -math.inf)
        rest = v.cumsum(2)
    else:
        rest = v.mean(2, keepdim=True).expand(-1, -1, q.shape[2], -1)
    attended = scores.softmax(-1) @ v
    return rest.scatter(2, top.expand_as(attended), attended).transpose(1, 2)


def _check_sparsity(
    n_queries: int, n_keys: int, sample: Tensor, n_top: int, causal: bool
) -> None:
    if sample.ndim != 2 or sample.shape[0] != n_queries or not sample.shape[1]:
        raise ValueError(
            f"sample has the shape {tuple(sample.shape)}, not (N_q, U) with "
            f"N_q={n_queries} queries and U of at least 1."
        )
    if not 0 < n_top <= n_queries:
        raise ValueError(
            f"n_top={n_top} must be from 1 to the number of queries, {n_queries}."
        )
    if causal and n_queries != n_keys:
        raise ValueError(
            f"causal=True needs as many queries as keys, not {n_queries} and {n_keys}; "
            "set causal=False."
        )
