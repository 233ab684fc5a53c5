"""The vector autoregression that SAMoVAR applies to its tokens."""

import math
from itertools import combinations_with_replacement

import numpy as np
import torch
from torch import Tensor

from .._networks.samovar import SAMoVAR
from .extraction import Weights, stack_layers

_MAX_PATHS = 100_000


@torch.no_grad()
def token_var(
    network: SAMoVAR, window: Tensor, segment: int = -1
) -> tuple[Tensor, Tensor]:
    """The VAR that SAMoVAR applies to its tokens, at the main token of a segment.

    Parameters
    ----------
    network : skvar.nn.SAMoVAR
        With layers.
    window : Tensor of shape (B, lags, n_series)
        Rows of standardised series, oldest first.
    segment : int
        Of the window, oldest first; negative ones count from the last.

    Returns
    -------
    matrices : Tensor of shape (B, n_targets, n_tokens, n_heads, d, d)
        For every target and head, from token i to the output at that token.
    tokens : Tensor of shape (B, n_targets, n_tokens, n_heads, d)
        Tokens x0 up to that one; the output is the last of them plus the sum over
        tokens of matrices times tokens.
    """
    x0, weights = _tokens_and_weights(network, window)
    end = 2 * (segment % network.tokens.n_segments) + 2
    x0, weights = x0[:, :end], [(q[:, :end], v[:, :end]) for q, v in weights]
    matrices = stack_layers(weights, network.var.structural_matrix().mT)
    return tuple(x.unflatten(0, (len(window), -1)) for x in (matrices, x0))


def _tokens_and_weights(network: SAMoVAR, window: Tensor) -> tuple[Tensor, Weights]:
    segments = network.normalise(window)[0]
    main = segments[:, -network.n_targets :]
    return network.var.weights(network.tokens(main, network.tokens.mixed(segments)))


@torch.no_grad()
def influence_paths(
    network: SAMoVAR, window: Tensor, depth: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The products of ``depth`` layers' matrices that `token_var` sums, one by one.

    A path ``i <= j_1 <= ... <= t`` leads from token i over one token for every layer to
    the last token t. Its matrix, the product of rank-one matrices, has rank one:
    ``S^T v_{j_{l-1}} (...) q_{j_1}^T``.

    Parameters
    ----------
    network : skvar.nn.SAMoVAR
        With layers.
    window : Tensor of shape (B, lags, n_series)
        Rows of standardised series, oldest first.
    depth : int
        Number of layers passed, 1 to n_layers.

    Returns
    -------
    paths : Tensor of shape (n_paths, depth)
        Tokens i, j_1, ..., without t.
    left, right : Tensor of shape (B, n_targets, n_paths, n_heads, d)
        The path's matrix is ``left right^T`` for every head.
    tokens : Tensor
        As in `token_var`.

    Raises
    ------
    ValueError
        If there are more than a hundred thousand paths.
    """
    x0, weights = _tokens_and_weights(network, window)
    last = x0.shape[1] - 1
    n_paths = math.comb(last + depth, depth)
    if n_paths > _MAX_PATHS:
        raise ValueError(
            f"{last + 1} tokens and {depth} layers have {n_paths} paths, too many to "
            "list; use fewer lags or a longer token_length."
        )
    paths = torch.tensor(list(combinations_with_replacement(range(last + 1), depth)))
    # Token of layer m's output: j_m, with t for the last layer.
    ends = [*paths[:, 1:].unbind(1), torch.full((n_paths,), last)]
    read = network.var.structural_matrix()
    left = torch.einsum("bnhd,hdo->bnho", weights[depth - 1][1][:, paths[:, -1]], read)
    for m in range(1, depth):
        q, v = weights[m][0], weights[m - 1][1]
        left = left * (q[:, ends[m]] * v[:, paths[:, m - 1]]).sum(-1, keepdim=True)
    right = weights[0][0][:, ends[0]]
    left, right, x0 = (x.unflatten(0, (len(window), -1)) for x in (left, right, x0))
    return paths, left, right, x0


def path_sizes(
    network: SAMoVAR, window: Tensor
) -> tuple[list[list[int]], np.ndarray, np.ndarray]:
    """All paths of one window, of every depth, with their sizes.

    Parameters
    ----------
    network : skvar.nn.SAMoVAR
        With layers.
    window : Tensor of shape (1, lags, n_series)
        Rows of standardised series, oldest first.

    Returns
    -------
    paths : list of list of int
        Tokens on each way, as in `influence_paths`.
    strength : ndarray of shape (n_targets, n_paths)
        Frobenius norms of the paths' matrices.
    contribution : ndarray of shape (n_targets, n_paths)
        Norms of what the paths add to the output.
    """
    paths, strength, contribution = [], [], []
    # The deepest first: it has the most paths, perhaps too many.
    for depth in range(len(network.var.predictors), 0, -1):
        tokens_on_path, left, right, x0 = influence_paths(network, window, depth)
        size = left.norm(dim=-1)
        seen = (right * x0[:, :, tokens_on_path[:, 0]]).sum(dim=-1)
        paths += tokens_on_path.tolist()
        strength.append((size * right.norm(dim=-1)).norm(dim=-1))
        contribution.append((size * seen).norm(dim=-1))
    sizes = (
        torch.cat(part, dim=2)[0].cpu().numpy() for part in (strength, contribution)
    )
    return paths, *sizes
