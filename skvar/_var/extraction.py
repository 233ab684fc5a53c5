"""From a network and windows to the matrices of a vector autoregression.

Matrices map the rows of a window, newest first, to a forecast; with the intercept they
give the forecast itself.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from .._attention import linear_attention_output
from .._data.units import deviations, divisors
from .._data.windows import Windows
from .._networks.layers import bounded, roll_out
from .._networks.linear_attention_var import LinearAttentionVAR
from .._networks.readout import Readout
from .._networks.samovar import SAMoVAR
from .._networks.static_path import StaticPath
from .._training.inference import like
from .memory import with_peak_bytes

Weights = list[tuple[Tensor, Tensor]]

# Limits of a batch of windows: how many, and what is held while it is made. Whoever
# reads batches holds the last one meanwhile, in float64, and a copy in other units:
# so many bytes an entry.
_MOST_WINDOWS, _MOST_BYTES, _BYTES_OF_LAST = 256, 2**27, 16


@torch.no_grad()
def dynamic_var(
    network: nn.Module, window: Tensor, step: int = 1
) -> tuple[Tensor, Tensor]:
    """Matrices and intercepts that a ``LinearAttentionVAR`` network applies.

    Exact: the forecast is the intercept plus the matrices applied to the window. Later
    steps chain the matrices of the windows on the way.

    Parameters
    ----------
    network : skvar.nn.LinearAttentionVAR, or skvar.nn.Readout around one
        A network that works on standardised series.
    window : Tensor of shape (B, rows, n_series)
        Rows of these series, oldest first.
    step : int
        Steps ahead.

    Returns
    -------
    matrices : Tensor of shape (B, p, n_targets, n_series)
        Lag 1 first.
    intercepts : Tensor of shape (B, n_targets)
    """
    slopes: list[Tensor] = []
    offsets: list[Tensor] = []
    for left in reversed(range(step)):
        matrices, offset = _first_step(network, window)
        order, ahead = matrices.shape[1], len(slopes)
        slope = torch.zeros_like(matrices)
        slope[:, : order - ahead] = matrices[:, ahead:]
        for lag in range(ahead):
            through = matrices[:, lag]
            slope = slope + through.unsqueeze(1) @ slopes[-1 - lag]
            offset = offset + _apply(through, offsets[-1 - lag])
        # The next step sees no more of them.
        slopes, offsets = [*slopes, slope][-order:], [*offsets, offset][-order:]
        if left:
            window = torch.cat([window[:, 1:], network(window)], dim=1)
    return slope, offset


def _first_step(network: nn.Module, window: Tensor) -> tuple[Tensor, Tensor]:
    if isinstance(network, Readout):
        static, intercept = network.static.static_var()
        learned, offset = _first_step(network.network, window)
        readout = network.readout.weight
        return static + readout @ learned, intercept + offset @ readout.T
    matrices, intercept = network.static_var()
    matrices = matrices.expand(len(window), -1, -1, -1)
    if network.layers:
        n_targets, n_series = matrices.shape[2:]
        forecast = torch.eye(n_series).to(matrices)[-n_targets:]
        weights = network.weights(window)
        dynamic = stack_layers(weights, forecast.expand(1, -1, -1), shared_keys=True)
        matrices = matrices + network.within_order(dynamic[:, :, 0].flip(1))
    if network.tracker is not None:
        matrices = matrices + network.within_order(network.drift(window))
    return matrices, intercept.expand(len(window), -1)


def stack_layers(
    weights: Weights, readout: Tensor, *, shared_keys: bool = False
) -> Tensor:
    """Matrices from the first keys to a readout of all layers at the last token.

    The layers add up at the last token, and each one's output is the next one's keys:
    cotangents are pulled back through the layers, so that only matrices that end in the
    last token are ever formed.

    Parameters
    ----------
    weights : list of (q, v), of shape (B, N, H, d)
    readout : Tensor of shape (H, o, d)
        Applied to every head, or to their sum, which all heads of the next layer take
        as keys (``shared_keys``; H is then 1).

    Returns
    -------
    Tensor of shape (B, N, H, o, d)
    """
    pulled = None
    for q, v in reversed(weights):
        if pulled is None:
            left = torch.einsum("hod,bnhd->bnho", readout.expand(q.shape[2], -1, -1), v)
            pulled = left.unsqueeze(-1) * q[:, -1:].unsqueeze(-2)
        else:
            pulled[:, -1] += readout
            pulled = _pull_back(q, v, pulled)
        if shared_keys:
            pulled = pulled.sum(dim=2, keepdim=True)
    return pulled


def _pull_back(q: Tensor, v: Tensor, cotangents: Tensor) -> Tensor:
    """Sums over j >= i of ``(cotangent_j v_i) q_j^T``: linear attention backwards.

    The rows of the cotangents (B, N, H or 1, o, d) are the keys.
    """
    shape = *q.shape[:3], cotangents.shape[3], q.shape[3]
    rows = (x.unsqueeze(3).expand(shape) for x in (v, q))
    backward = [x.flip(1).flatten(2, 3) for x in (*rows, cotangents.expand(shape))]
    # So many rows share few channels that a step at a time is fastest.
    form = "recurrent" if shape[1] > shape[-1] else "parallel"
    out = linear_attention_output(backward[0], backward[2], backward[1], form=form)
    return out.flip(1).unflatten(2, shape[2:4])


def local_var(
    network: nn.Module, window: Tensor, step: int = 1
) -> tuple[Tensor, Tensor]:
    """Jacobian of any network's forecast on its window, and the remainder.

    Parameters
    ----------
    network : torch.nn.Module
        Called on a window, it returns forecasts (B, horizon, n_targets).
    window : Tensor of shape (B, rows, n_series)
        Rows of the series, oldest first.
    step : int
        Steps ahead.

    Returns
    -------
    matrices : Tensor of shape (B, rows, n_targets, n_series)
        Lag 1 first.
    intercepts : Tensor of shape (B, n_targets)
        The forecast less the matrices applied to the window.
    """
    with torch.inference_mode(False), torch.enable_grad():
        slope, value = _slope(network, window.detach().clone(), step)
    slope, value = slope.detach(), value.detach()
    return slope.flip(1), value - torch.einsum("bpoi,bpi->bo", slope, window)


def _slope(network: nn.Module, window: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Slopes (B, p, o, i), oldest row first, and forecasts (B, o)."""
    if isinstance(network, StaticPath) and step <= network.horizon:
        return _slope_of_mix(network, window, step)
    if isinstance(network, Readout):
        slope, value = _slope(network.network, window, step)
        static, intercept = network.static.static_var()
        readout = network.readout.weight
        known = _apply(static.flip(0), window).sum(dim=1) + intercept
        return static.flip(0) + readout @ slope, known + value @ readout.T
    if isinstance(network, SAMoVAR) and step <= min(
        network.horizon, network.token_length
    ):
        return _slope_of_samovar(network, window, step)
    return _slope_by_autograd(network, window, step)


def _slope_by_autograd(
    network: nn.Module, window: Tensor, step: int
) -> tuple[Tensor, Tensor]:
    """One backward pass for every target."""
    window = window.requires_grad_()
    out = roll_out(network, window, step)[:, step - 1]
    slope = window.new_empty(*window.shape[:2], out.shape[1], window.shape[2])
    for i, column in enumerate(out.unbind(1)):
        slope[:, :, i] = torch.autograd.grad(column.sum(), window, retain_graph=True)[0]
    return slope, out


def _slope_of_mix(network: StaticPath, window: Tensor, step: int) -> tuple[Tensor, ...]:
    slope, value = _slope_of_static(network, window, step)
    if network.static_only:
        return slope, value
    learned, forecast = _slope(network.network, window, step)
    mix = (learned, slope), (forecast, value)
    return tuple(torch.lerp(*pair, network.static_weight) for pair in mix)


def _slope_of_static(
    network: StaticPath, window: Tensor, step: int
) -> tuple[Tensor, Tensor]:
    if network.is_var:
        recent = window[:, -network.var.lags :]
        matrices, offset = dynamic_var(network.var, recent[:1], step)
        slope = matrices.flip(1)
        value = offset + _apply(slope, recent).sum(dim=1)
        slope = F.pad(slope, (0, 0, 0, 0, network.lags - slope.shape[1], 0))
    else:
        weights = network.matrices[:, step - 1].expand(window.shape[2], -1)
        slope = torch.diag_embed(weights.mT).unsqueeze(0)
        value = (weights.mT * window).sum(dim=1)
    return slope.expand(len(window), -1, -1, -1), value


def _slope_of_samovar(
    network: SAMoVAR, window: Tensor, step: int
) -> tuple[Tensor, Tensor]:
    """One backward pass for all targets.

    A target's tokens know only its own segments and its own mixture of all series;
    from there the chain through the mixture and the normalisation is in closed form.
    """
    segments, centre, scale, divisor = (x.detach() for x in network.normalise(window))
    first = network.n_series - network.n_targets
    main = segments[:, first:].clone().requires_grad_()
    mixed = network.tokens.mixed(segments).detach().requires_grad_()
    out = network.predict(main, mixed)[:, -1, step - 1]
    out = out.unflatten(0, (-1, network.n_targets))
    by_main, by_mixed = (
        gradient.flatten(2)[..., -network.lags :]
        for gradient in torch.autograd.grad(out.sum(), [main, mixed])
    )
    slope = torch.einsum("bop,oi->bpoi", by_mixed, network.tokens.mix.weight.detach())
    slope.diagonal(offset=first, dim1=2, dim2=3).add_(by_main.mT)
    rows = segments.flatten(2)[..., -network.lags :].mT
    by_centre, by_scale = _slopes_of_normalisation(network, window, scale)
    flat = divisor != scale
    slope /= divisor.unsqueeze(2)
    through_centre = slope.sum(dim=1, keepdim=True)
    through_scale = torch.einsum("bpoi,bpi->boi", slope, rows).unsqueeze(1)
    slope -= by_centre.reshape(-1, 1, 1) * through_centre
    slope -= by_scale.masked_fill(flat, 0).unsqueeze(2) * through_scale
    slope *= scale[..., first:].mT.unsqueeze(1)
    own = by_centre.unsqueeze(1) + out.detach().unsqueeze(1) * by_scale[..., first:]
    slope.diagonal(offset=first, dim1=2, dim2=3).add_(own)
    return slope, (out.unsqueeze(1) * scale[..., first:] + centre[..., first:])[:, 0]


def _slopes_of_normalisation(
    network: SAMoVAR, window: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """How a window's rows move its centre (p,) and its scale (B, p, C)."""
    by_centre = F.pad(network.centre, (network.lags - len(network.centre), 0))
    deviations = window - window.mean(dim=1, keepdim=True)
    n_free = max(1, network.lags - 1)
    spread = (scale - 1e-8).clamp_min(torch.finfo(scale.dtype).tiny)
    return by_centre, deviations / (n_free * spread)


def _apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    return (matrices @ vectors.unsqueeze(-1)).squeeze(-1)


def network_var(
    network: nn.Module, window: Tensor, step: int = 1
) -> tuple[Tensor, Tensor]:
    """As `dynamic_var` where a network is a VAR of its series, else as `local_var`."""
    inner = network.network if isinstance(network, Readout) else network
    is_var = isinstance(inner, LinearAttentionVAR)
    return (dynamic_var if is_var else local_var)(network, window, step)


def shared_matrices(
    network: nn.Module, step: int = 1
) -> tuple[np.ndarray, np.ndarray] | None:
    """Matrices (p, n_targets, n_series) and intercept (n_targets,) of all windows.

    None where windows differ: unless the network is a closed form alone.
    """
    if not _is_one_var(network):
        return None
    form = next(x for x in network.modules() if isinstance(x, LinearAttentionVAR))
    # A forecast of zeros is the intercept, without rounding.
    zeros = torch.zeros(1, network.lags, form.n_series).to(like(network))
    return tuple(part[0].copy() for part in _arrays(network, zeros, step))


def _is_one_var(network: nn.Module) -> bool:
    if isinstance(network, StaticPath):
        return network.static_only
    if isinstance(network, Readout):
        return _is_one_var(network.network)
    return isinstance(network, LinearAttentionVAR) and network.is_static


def matrices_of(
    network: nn.Module, windows: Windows, used: Tensor, step: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Matrices and intercepts of windows in float64, in batches of limited memory.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    windows : Windows
    used : Tensor of shape (n,)
        Numbers of the windows, at least one.
    step : int
        Steps ahead.

    Yields
    ------
    matrices : ndarray of shape (B, p, n_targets, n_series)
        Lag 1 first; read-only where all windows share them.
    intercepts : ndarray of shape (B, n_targets)
    """
    shared, to = shared_matrices(network, step), like(network)
    if shared is not None:
        for some in used.split(_windows_at_once(0, shared[0].size)):
            matrices, intercept = (
                np.broadcast_to(x, (len(some), *x.shape)) for x in shared
            )
            yield matrices, intercept
        return
    window = bounded(windows[used[:1]][0].to(to))
    if len(used) == 1:
        yield _arrays(network, window, step)
        return
    # The first window tells what others need: no formula knows every network.
    parts, n_bytes = with_peak_bytes(_arrays, network, window, step)
    yield parts
    for some in used[1:].split(_windows_at_once(n_bytes, parts[0].size)):
        yield _arrays(network, bounded(windows[some][0].to(to)), step)


def average_matrices(
    network: nn.Module, windows: Windows, used: Tensor, step: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Averages over windows of the matrices and intercepts of `matrices_of`.

    Of one window where all share them: sums of equal numbers would be rounded.
    """
    shared = shared_matrices(network, step)
    if shared is not None:
        return shared
    sums = 0.0, 0.0
    for parts in matrices_of(network, windows, used, step):
        sums = tuple(
            total + part.sum(axis=0) for total, part in zip(sums, parts, strict=True)
        )
    return tuple(total / len(used) for total in sums)


def _arrays(
    network: nn.Module, window: Tensor, step: int
) -> tuple[np.ndarray, np.ndarray]:
    parts = network_var(network, window, step)
    matrices, intercepts = (part.cpu().double().numpy() for part in parts)
    return matrices, intercepts


def _windows_at_once(n_bytes: int, n_entries: int) -> int:
    """Windows in a batch, by what it takes to make the matrices of one."""
    held = n_bytes + _BYTES_OF_LAST * n_entries
    return int(np.clip(_MOST_BYTES // held, 1, _MOST_WINDOWS))


def collect_matrices(
    batches: Iterator[tuple[np.ndarray, np.ndarray]], n_windows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Batches of matrices and intercepts of so many windows as two arrays.

    Filled batch by batch: all matrices may be a large part of the memory.
    """
    matrices, intercepts, done = None, None, 0
    for some, offsets in batches:
        if matrices is None:
            matrices = np.empty((n_windows, *some.shape[1:]))
            intercepts = np.empty((n_windows, *offsets.shape[1:]))
        matrices[done : done + len(some)] = some
        intercepts[done : done + len(some)] = offsets
        done += len(some)
    return matrices, intercepts


def to_original_units(
    matrices: np.ndarray,
    intercepts: np.ndarray,
    inputs: StandardScaler,
    targets: StandardScaler,
) -> tuple[np.ndarray, np.ndarray]:
    """Undo the standardisation of series in matrices and intercepts.

    With ``z = (y - mean) / scale``: ``A -> scale A / scale``, and the means that the
    matrices no longer subtract join the intercept. A constant is its own intercept.

    Parameters
    ----------
    matrices : ndarray of shape (..., p, n_targets, n_inputs)
        Matrices between standardised series.
    intercepts : ndarray of shape (..., n_targets)
        Intercepts beside them.
    inputs, targets : StandardScaler
        What standardised the series that the matrices take, and those that they give.

    Returns
    -------
    matrices : ndarray of shape (..., p, n_targets, n_inputs)
        In original units.
    intercepts : ndarray of shape (..., n_targets)
        In original units.
    """
    scale = deviations(targets)
    matrices = matrices * (scale[:, np.newaxis] / divisors(inputs))
    through = matrices.sum(axis=-3) @ inputs.mean_
    return matrices, targets.mean_ + scale * intercepts - through


def read_only(parts: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """The same arrays, which many may now share."""
    for part in parts:
        part.flags.writeable = False
    return parts
