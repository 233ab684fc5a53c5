"""Attention as a recurrent neural network (Feng et al. 2024, arXiv:2405.13956)."""

import math

import torch
from torch import Tensor, nn

from .._attention import AarenState, aaren_attention
from .layers import Dropout, ResidualMLP, check_heads, check_sizes, split_heads


class Aaren(nn.Module):
    """Layers of causal softmax attention with a learned query, and feed-forward blocks.

    Used like a recurrent network, at the cost of a Transformer: trained on whole
    sequences in parallel, then updated by one token at a time from a state whose size
    does not depend on how many came before [1]_. Its parameters are those of a pre-norm
    Transformer encoder, and one query vector for each layer.

    Parameters
    ----------
    d_model : int
        Width of tokens and outputs.
    n_heads : int
        Heads; a divisor of ``d_model``.
    n_layers : int, default=1
        Depth.
    d_ff : int, optional
        Width inside the feed-forward blocks; ``4 * d_model`` by default.
    dropout : float, default=0.0
        Share of activations dropped in training.
    timescale : float, optional
        With a number, the weight of a token falls to 1 / e within so many tokens after
        it, and faster for all heads but the last: the order of the past then matters,
        and the past is forgotten. Each head learns its rate, one number more for each,
        from a geometric sequence. None is the paper's attention, blind to order.

    Raises
    ------
    ValueError
        If a size does not fit, or ``timescale`` is not above 1.

    Notes
    -----
    The outputs are those of the last residual, without a norm: put one before a head.

    References
    ----------
    .. [1] Feng, L. et al. (2024). Attention as an RNN. arXiv:2405.13956.

    Examples
    --------
    >>> import torch
    >>> from skvar.nn import Aaren
    >>> network = Aaren(d_model=16, n_heads=2, n_layers=2)
    >>> tokens = torch.randn(8, 100, 16)
    >>> outputs, state = network(tokens)
    >>> one_more, state = network(torch.randn(8, 1, 16), state)
    >>> one_more.shape
    torch.Size([8, 1, 16])
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        n_layers: int = 1,
        d_ff: int | None = None,
        dropout: float = 0.0,
        timescale: float | None = None,
    ):
        super().__init__()
        check_heads(n_heads, d_model)
        check_sizes(n_layers=n_layers)
        if timescale is not None and not timescale > 1:
            raise ValueError(
                f"timescale={timescale} must be more than one token; None leaves the "
                "decay out."
            )
        self.d_model = d_model
        self.layers = nn.ModuleList(
            AarenLayer(d_model, n_heads, d_ff or 4 * d_model, dropout, timescale)
            for _ in range(n_layers)
        )

    def forward(
        self,
        sequence: Tensor,
        state: tuple[AarenState, ...] | None = None,
        *,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, tuple[AarenState, ...]]:
        """Outputs of a sequence that goes on from a state, and the state after it.

        Parameters
        ----------
        sequence : Tensor of shape (B, N, d_model)
            Tokens; N may be 0.
        state : tuple, optional
            As returned for the tokens before these; one triple of tensors (B, n_heads),
            (B, n_heads) and (B, n_heads, d_model / n_heads) for each layer.
        mask : Tensor of bool of shape (B, N), optional
            False hides a token from those after it, and from itself; the tokens before
            it age nevertheless.

        Returns
        -------
        outputs : Tensor of shape (B, N, d_model)
            Each depends on the tokens up to its own.
        state : tuple

        Raises
        ------
        ValueError
            If the sequence has other axes, or the state other layers.
        """
        if sequence.ndim != 3 or sequence.shape[2] != self.d_model:
            raise ValueError(
                f"sequence has the shape {tuple(sequence.shape)}, not (B, N, d_model) "
                f"with d_model={self.d_model}."
            )
        states = []
        if state is None:
            state = [None] * len(self.layers)
        if len(state) != len(self.layers):
            raise ValueError(
                f"state is of {len(state)} layer(s), but there are {len(self.layers)}."
            )
        for layer, before in zip(self.layers, state, strict=True):
            sequence, after = layer(sequence, before, mask)
            states.append(after)
        return sequence, tuple(states)


class AarenLayer(nn.Module):
    """One layer of `Aaren`: attention and feed-forward block, each with a residual."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        dropout: float,
        timescale: float | None,
    ):
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(d_model)
        self.token = nn.Parameter(torch.randn(d_model) / math.sqrt(d_model))
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(dropout)
        self.feed_forward = ResidualMLP(d_model, d_ff, dropout, nn.LayerNorm(d_model))
        self.log_change = None
        if timescale is not None:
            share = torch.arange(1, n_heads + 1) / n_heads
            # From there, so that weight decay pulls towards it.
            self.register_buffer("first_decay", timescale**-share)
            self.log_change = nn.Parameter(torch.zeros(n_heads))

    def forward(
        self, x: Tensor, state: AarenState | None, mask: Tensor | None
    ) -> tuple[Tensor, AarenState]:
        u = self.norm(x)
        scores, v = self.scores(u), split_heads(self.value(u), self.n_heads)
        decay = 0.0
        if self.log_change is not None:
            decay = self.first_decay * self.log_change.exp()
        out, state = aaren_attention(
            scores, v, mask=mask, decay=decay, initial_state=state
        )
        x = x + self.dropout(self.out(out.flatten(-2)))
        return self.feed_forward(x), state

    def scores(self, u: Tensor) -> Tensor:
        """Products (B, N, H) of the learned query and the keys of normed tokens.

        The query is the same for all tokens: it is multiplied into the keys' matrix.
        """
        q = split_heads(self.query(self.token), self.n_heads)
        q = q.unsqueeze(1) / math.sqrt(q.shape[-1])
        weight = q @ self.key.weight.unflatten(0, (self.n_heads, -1))
        bias = q @ split_heads(self.key.bias, self.n_heads).unsqueeze(-1)
        return nn.functional.linear(u, weight.squeeze(1), bias.flatten())
