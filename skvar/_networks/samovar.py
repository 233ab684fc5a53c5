"""SAMoVAR: linear Transformers re-arranged so that the stack stays a VAR.

Lu & Yang (2025), "Linear Transformers as VAR Models: Aligning Autoregressive Attention
Mechanisms with Autoregressive Forecasting", ICML, arXiv:2502.07244.
"""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._attention import linear_attention
from .arx import REFERENCE_NAMES, REFERENCE_WITHOUT, ARXNetwork, used_positions
from .layers import (
    Dropout,
    HeadNorm,
    ResidualMLP,
    check_sizes,
    load_renamed,
    renamed,
    split_heads,
)


class SAMoVAR(ARXNetwork):
    """Structural aligned mixture of VARs.

    Parameters
    ----------
    lags : int
        Time steps in a window; padded on the left to whole tokens.
    horizon : int
        Time steps in a forecast. Beyond ``token_length`` the network feeds its
        forecast back, which needs ``n_targets == n_series``.
    n_series : int
        Series in a window.
    n_targets : int, optional
        How many series to forecast, the last ones; all by default.
    token_length : int, optional
        Time steps in a token; the horizon by default, as in the paper.
    n_layers, n_heads, d_model : int
        Depth, heads and width; ``n_heads`` divides ``d_model``.
    dropout : float
        Share of activations dropped in training.
    scaled_attention : bool
        Whether the sum of a token, the t-th with context and main tokens counted, is
        divided by ``width * sqrt(t)``, so that layers neither grow with the sequence
        nor with depth; the paper does not.
    predictor : {"linear_attention", "fixed_var"}
        Queries and values computed from the tokens, or free parameters of each
        series, position and head (the paper's "FixedVAR" ablation).
    """

    def __init__(
        self,
        *,
        lags: int,
        horizon: int,
        n_series: int,
        n_targets: int | None = None,
        token_length: int | None = None,
        n_layers: int = 3,
        n_heads: int = 8,
        d_model: int = 64,
        dropout: float = 0.1,
        scaled_attention: bool = False,
        predictor: str = "linear_attention",
    ):
        if predictor not in ("linear_attention", "fixed_var"):
            raise ValueError(
                "predictor must be 'linear_attention' or 'fixed_var', "
                f"not {predictor!r}."
            )
        super().__init__(
            lags=lags,
            horizon=horizon,
            n_series=n_series,
            n_targets=n_targets,
            token_length=token_length,
            n_heads=n_heads,
            d_model=d_model,
            dropout=dropout,
            kinds=True,
        )
        check_sizes(n_layers=n_layers)
        self.var = VARStage(
            n_tokens=2 * self.tokens.n_segments,
            n_targets=self.n_targets,
            n_layers=n_layers,
            n_heads=n_heads,
            d_model=d_model,
            dropout=dropout,
            scaled_attention=scaled_attention,
            fixed=predictor == "fixed_var",
        )
        self._add_readout(d_model)
        for mlp in self.var.mlps:
            std = 0.02 / math.sqrt(2 * n_layers)
            nn.init.normal_(mlp.contract.weight, std=std)

    def encode(self, tokens: Tensor) -> Tensor:
        """Tokens (B, 2N, D) in pairs to outputs at the main ones (B, N, D)."""
        return self.var(tokens)

    @classmethod
    def from_reference(
        cls,
        params: Mapping[str, np.ndarray],
        *,
        lags: int,
        horizon: int,
        n_heads: int,
        n_series: int,
        n_layers: int,
        d_model: int,
        n_targets: int | None = None,
        dropout: float = 0.0,
    ) -> "SAMoVAR":
        """Build the network from a checkpoint of the paper's code.

        Parameters
        ----------
        params : mapping of str to array
            Arrays under their names in the published checkpoints.
        lags, horizon, n_heads, n_series, n_layers, d_model : int
            As in the constructor, with the values of the checkpoint.
        n_targets : int, optional
            As in the constructor.
        dropout : float
            For further training.

        Returns
        -------
        SAMoVAR
            With the checkpoint's parameters, in training mode.

        Raises
        ------
        ValueError
            If ``params`` lacks an array of this network, or has one that does not fit
            or belong.
        """
        fixed = "transformer.attn.0.fixed_q" in params
        network = cls(
            lags=lags,
            horizon=horizon,
            n_series=n_series,
            n_targets=n_targets,
            n_layers=n_layers,
            n_heads=n_heads,
            d_model=d_model,
            dropout=dropout,
            predictor="fixed_var" if fixed else "linear_attention",
        )
        used = used_positions(params, network.tokens)
        load_renamed(network, used, reference_name, without=REFERENCE_WITHOUT)
        return network


class VARStage(nn.Module):
    """Residual MLPs, then linear-attention layers that all keep x0's channels.

    Everything after ``x0`` is linear in the keys, which start as ``x0``: the whole
    stack is one VAR on the tokens (the paper's section 4).
    """

    def __init__(
        self,
        *,
        n_tokens: int,
        n_targets: int,
        n_layers: int,
        n_heads: int,
        d_model: int,
        dropout: float,
        scaled_attention: bool,
        fixed: bool,
    ):
        super().__init__()
        width = d_model // n_heads
        self.n_heads = n_heads
        count = torch.arange(1.0, n_tokens + 1).reshape(-1, 1, 1)
        scale = (
            1 / (width * count.sqrt()) if scaled_attention else torch.ones_like(count)
        )
        self.register_buffer("scale", scale, persistent=False)
        self.mlps = nn.ModuleList(
            ResidualMLP(d_model, 4 * d_model, dropout) for _ in range(n_layers)
        )
        self.norm = nn.RMSNorm(d_model, eps=1e-5)
        self.predictors = nn.ModuleList(
            FixedVAR(n_targets, n_tokens, n_heads, width)
            if fixed
            else LinearAttentionPredictor(n_heads, width)
            for _ in range(n_layers)
        )
        self.dropout = Dropout(dropout)
        std = math.sqrt(0.02 / math.sqrt(width))
        self.lu = nn.Parameter(std * torch.randn(n_heads, width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B * n_targets, 2 N, D) to the main tokens' (B * n_targets, N, D)."""
        x0, weights = self.weights(tokens)
        keys, total = x0, torch.zeros_like(x0)
        for q, v in weights:
            keys = self.dropout(linear_attention(q, keys, v)[0])
            total = total + keys
        # The last operations touch the main tokens alone.
        out = x0[:, 1::2] + torch.einsum(
            "bnhi,hij->bnhj", total[:, 1::2], self.structural_matrix()
        )
        return out.flatten(-2)

    def weights(self, tokens: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """First keys x0 and every layer's queries and values, (B * T, 2 N, H, d)."""
        u = tokens
        for mlp in self.mlps:
            u = mlp(u)
        x0 = split_heads(self.norm(u), self.n_heads)
        weights = [predictor(x0) for predictor in self.predictors]
        return x0, [(q * self.scale, v) for q, v in weights]

    def structural_matrix(self) -> Tensor:
        """S = L U per head (H, d, d), invertible by construction."""
        lower = self.lu.tril(-1) + torch.eye(self.lu.shape[-1]).to(self.lu)
        diagonal = F.softplus(self.lu.diagonal(dim1=-2, dim2=-1))
        return lower @ (self.lu.triu(1) + torch.diag_embed(diagonal))


class LinearAttentionPredictor(nn.Module):
    """Queries and values of one layer as projections of x0, normalised per head."""

    def __init__(self, n_heads: int, width: int):
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(n_heads * width, n_heads * width)
        self.value = nn.Linear(n_heads * width, n_heads * width)
        self.query_norm = HeadNorm(n_heads, width)
        self.value_norm = HeadNorm(n_heads, width)

    def forward(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        flat = x0.flatten(-2)
        q = self.query_norm(split_heads(self.query(flat), self.n_heads))
        return q, self.value_norm(split_heads(self.value(flat), self.n_heads))


class FixedVAR(nn.Module):
    """Queries and values of one layer as free parameters: a VAR with fixed weights."""

    def __init__(self, n_targets: int, n_tokens: int, n_heads: int, width: int):
        super().__init__()
        shape = (n_targets, n_tokens, n_heads, width)
        self.query = nn.Parameter(0.02 * torch.randn(shape))
        self.value = nn.Parameter(0.02 * torch.randn(shape))

    def forward(self, x0: Tensor) -> tuple[Tensor, Tensor]:
        repeats = x0.shape[0] // self.query.shape[0]
        return tuple(
            w.expand(repeats, *w.shape).flatten(0, 1) for w in (self.query, self.value)
        )


reference_name = partial(
    renamed,
    names={
        **REFERENCE_NAMES,
        "var.mlps.{}.norm": "transformer.lns.{}",
        "var.mlps.{}.expand": "transformer.mlps.{}.c_fc",
        "var.mlps.{}.contract": "transformer.mlps.{}.c_proj",
        "var.norm": "transformer.VAR_input_norm",
        "var.predictors.{}.query.weight": "transformer.attn.{}.q_proj.weight",
        "var.predictors.{}.query.bias": "transformer.attn.{}.q_proj.bias",
        "var.predictors.{}.value.weight": "transformer.attn.{}.v_proj.weight",
        "var.predictors.{}.value.bias": "transformer.attn.{}.v_proj.bias",
        "var.predictors.{}.query_norm": "transformer.attn.{}.q_norm",
        "var.predictors.{}.value_norm": "transformer.attn.{}.v_norm",
        "var.predictors.{}.query": "transformer.attn.{}.fixed_q",
        "var.predictors.{}.value": "transformer.attn.{}.fixed_v",
        "var.lu": "transformer.generate_S.LU",
    },
)
