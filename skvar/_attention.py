"""Causal linear attention in four forms that agree.

Every form computes ``o_t = sum_{i <= t} (q_t . k_i) v_i``: with the observation as
key, ``v_i q_t^T`` is the matrix of a vector autoregression at lag ``t - i`` (Lu &
Yang 2025, arXiv:2502.07244, section 3). The sums over the past are carried by the
state ``S_t = sum_{i <= t} k_i v_i^T``, so that ``o_t = q_t S_t`` (row vectors).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 64


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
    if form == "auto":
        form = "parallel" if q.shape[1] <= 2 * CHUNK else "chunked"
    if form not in _FORMS:
        raise ValueError(f"form must be 'auto' or one of {list(_FORMS)}, not {form!r}.")
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    final_state = k.mT @ v
    if initial_state is not None:
        final_state = initial_state + final_state
    if q.shape[2] == 0:
        return v.transpose(1, 2), final_state
    return _FORMS[form](q, k, v, initial_state).transpose(1, 2), final_state


def _materialised(q: Tensor, k: Tensor, v: Tensor, state: Tensor | None):
    states = torch.cumsum(k.unsqueeze(-1) * v.unsqueeze(-2), dim=2)
    if state is not None:
        states = states + state.unsqueeze(2)
    return (q.unsqueeze(-2) @ states).squeeze(-2)


def _parallel(q: Tensor, k: Tensor, v: Tensor, state: Tensor | None):
    out = (q @ k.mT).tril() @ v
    return out if state is None else out + q @ state


def _chunked(q: Tensor, k: Tensor, v: Tensor, state: Tensor | None):
    n = q.shape[2]
    q, k, v = (
        F.pad(x, (0, 0, 0, -n % CHUNK)).unflatten(2, (-1, CHUNK)) for x in (q, k, v)
    )
    added = (k.mT @ v)[:, :, :-1]
    first = torch.zeros_like(added[:, :, :1]) if state is None else state.unsqueeze(2)
    states = torch.cumsum(torch.cat([first, added], dim=2), dim=2)
    out = (q @ k.mT).tril() @ v + q @ states
    return out.flatten(2, 3)[:, :, :n]


def _recurrent(q: Tensor, k: Tensor, v: Tensor, state: Tensor | None):
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
