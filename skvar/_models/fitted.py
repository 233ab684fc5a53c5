"""A fitted model: all that forecasts and matrices are made of, but the rows."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .._closed_form.covariates import CovariateEffect
from .._closed_form.direct import DirectRidge
from .._closed_form.error_correction import error_correction_draws
from .._closed_form.evidence import Evidence
from .._closed_form.fill import fill
from .._closed_form.form import Form
from .._closed_form.ridge_var import ridge_var_draws, ridge_var_with_terms_draws
from .._closed_form.terms import Design, FittedTerms, Ordered
from .._data.lazy import Recomputable, lazy
from .._data.windows import Windows
from .._networks.linear_attention_var import LinearAttentionVAR
from .._networks.static_path import StaticPath
from .._training.inference import RecurrentInference, WindowInference, like
from .._training.loop import TrainingRecord
from .._training.randomness import initialised_by
from .._var.extraction import average_matrices, matrices_of
from .specification import Specification

# Numbers that a network makes of its sizes beside its weights, at most, and what
# makes them.
_SPARE_NUMBERS = 1_000_000
_MAKING = {
    torch.empty,
    torch.full,
    torch.ones,
    torch.rand,
    torch.randint,
    torch.randn,
    torch.zeros,
}


@dataclass(frozen=True)
class ClosedForm:
    """How a closed form was penalised.

    Parameters
    ----------
    alpha : float, optional
        Penalty of a ridge regression.
    evidence : Evidence, optional
        What the rows say about a VAR and its penalties.
    ridges : tuple of DirectRidge
        Direct regressions that are averaged; none for a VAR.
    weights : ndarray of shape (n_series, n_terms), optional
        Of the terms beside the lags of a VAR, in standardised units.
    """

    alpha: float | None = None
    evidence: Evidence | None = None
    ridges: tuple[DirectRidge, ...] = ()
    weights: np.ndarray | None = None

    @property
    def log_evidence(self) -> float | None:
        """That of the evidence, if there is some."""
        return None if self.evidence is None else self.evidence.log_evidence


class WithNetwork(Recomputable):
    """What has a ``network`` that its ``specification`` builds of its ``sizes``.

    Its pickles hold weights in the place of the network.
    """

    network: nn.Module

    @property
    def device(self) -> torch.device:
        """The device that holds the network."""
        return like(self.network).device

    def __getstate__(self) -> dict:
        return {**super().__getstate__(), "network": weights_of(self.network)}

    def __setstate__(self, state: dict) -> None:
        build = partial(state["specification"].build, *state["sizes"])
        network = restored(build, state["network"])
        vars(self).update({**state, "network": network})


@dataclass(frozen=True, eq=False)
class FittedModel(WithNetwork):
    """A network with what was estimated beside it, in standardised units.

    It holds no training rows and does not change: whoever has it may share it.

    Parameters
    ----------
    specification : Specification
        What was estimated, and how.
    sizes : tuple of int
        Numbers of series and, where these are others, of targets; else None.
    network : Module
        Trained; in evaluation mode.
    closed_form : ClosedForm
    record : TrainingRecord
        How training went.
    effect : CovariateEffect, optional
        What known covariates do to the series.
    fill_weights : ndarray, optional
        As of `fill_weights`, where rows that it was estimated on had gaps.
    names : Index, optional
        Of the series, in their order.
    ordered : Ordered, optional
        Columns that act on every row inside the VAR.
    """

    specification: Specification
    sizes: tuple[int, int | None]
    network: nn.Module
    closed_form: ClosedForm
    record: TrainingRecord
    effect: CovariateEffect | None = None
    fill_weights: np.ndarray | None = None
    names: pd.Index | None = None
    ordered: Ordered | None = None

    @property
    def terms(self) -> FittedTerms | None:
        """What ordered columns do to the series, if there are any."""
        if self.ordered is None:
            return None
        return FittedTerms(self.ordered, self.closed_form.weights)

    @property
    def window_rows(self) -> int:
        """Rows of a window of the network."""
        return self.network.lags

    @property
    def horizon(self) -> int:
        """Steps that estimators return where none are asked for."""
        return self.specification.horizon

    @property
    def network_weight(self) -> float:
        """Weight of what was trained in the forecast; 0 is the closed form alone."""
        network = self.network
        if isinstance(network, StaticPath):
            return 0.0 if network.static_only else 1 - network.static_weight.item()
        return float(not getattr(network, "is_static", False))

    @property
    def form(self) -> Form | None:
        """Form in error-correction shape of the closed form, if evidence chose one."""
        return self.specification.form

    @property
    def var_alone(self) -> LinearAttentionVAR | None:
        """The VAR in closed form that forecasts alone, if one does."""
        network = self.network
        if isinstance(network, StaticPath):
            network = network.var if network.static_only and network.is_var else None
        known = self.closed_form.evidence is not None and not self.network_weight
        return network if known else None

    @property
    def tracking(self) -> LinearAttentionVAR | None:
        """The network, if its matrices follow recent errors of a static VAR."""
        network = self.network
        tracks = isinstance(network, LinearAttentionVAR) and network.tracker is not None
        return network if tracks and not network.tracker.is_off else None

    def draws(
        self,
        segments: Sequence[np.ndarray],
        observed: Sequence[np.ndarray] | None,
        design: Design | None,
        n_draws: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, ...]:
        """Matrices, intercepts and covariances of a closed form given its rows.

        And of the weights of terms, if there are any. In standardised units;
        ``segments``, ``observed`` and ``design`` are those of `Rows`.
        """
        if self.form is not None:
            return error_correction_draws(segments, self.form, observed, n_draws, rng)
        sizes = self.var_alone.order, self.closed_form.alpha
        if design is not None:
            return ridge_var_with_terms_draws(segments, *sizes, design, n_draws, rng)
        return ridge_var_draws(segments, *sizes, n_draws, rng)

    @property
    def n_parameters(self) -> int:
        """Estimated numbers that forecasts depend on."""
        trained = sum(parameter.numel() for parameter in self.network.parameters())
        of_network = getattr(self.network, "n_parameters", trained)
        effects = () if self.effect is None else self.effect.weights
        terms = () if self.ordered is None else self.closed_form.weights
        return of_network + int(np.count_nonzero(effects)) + np.size(terms)

    @lazy
    def inference(self) -> WindowInference | RecurrentInference:
        """Forecasts of standardised series without gaps."""
        recurrent = self.specification.is_recurrent
        return (RecurrentInference if recurrent else WindowInference)(self.network)

    def forecasts(self, values: np.ndarray, ends: np.ndarray, steps: int) -> np.ndarray:
        """Forecasts (len(ends), steps, C) after rows of a filled table (n_rows, C)."""
        return np.concatenate(list(self.inference.forecasts(values, ends, steps)))

    def step(self, state, row: np.ndarray) -> tuple:
        """State after a new row (1, C), which is filled, and forecast (horizon, C)."""
        recent = self.inference.recent(state)
        rows = row if recent is None else np.concatenate([recent, row])
        if np.isnan(row).any():
            rows = fill(rows, self.fill_weights)
        return self.inference.step(state, rows, self.horizon)

    def matrices(
        self, windows: Windows, used: Tensor | None = None, step: int = 1
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Matrices (B, lags, o, i), lag 1 first, and intercepts (B, o) of windows.

        Of all, or of those at ``used``; batch by batch: all may be a large part of the
        memory.
        """
        used = torch.arange(len(windows)) if used is None else used
        return matrices_of(self.network, windows, used, step)

    def in_average(self, n_windows: int) -> Tensor:
        """Numbers of the windows, evenly spaced, that enter averages of matrices."""
        most = self.specification.most_windows_in_average or n_windows
        n_used = min(n_windows, most)
        return torch.from_numpy(
            np.linspace(0, n_windows - 1, n_used).round().astype(int)
        )

    def average_matrices(self, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        """Averages of matrices (lags, o, i) and intercepts (o,) over windows."""
        return average_matrices(self.network, windows, self.in_average(len(windows)))

    def on_cpu(self) -> "FittedModel":
        """The same model where every machine can use it."""
        return replace(self, network=network_on_cpu(self.network))


def built(
    specification: Specification,
    sizes: tuple[int, int | None],
    generator: torch.Generator,
) -> nn.Module:
    """The network of a specification, with drawn weights."""
    with initialised_by(generator):
        network = specification.build(*sizes)
    # Closed forms alone are exact and fast in float64 on the CPU.
    return network.float() if specification.n_layers else network.double()


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """Weights as arrays on the CPU, as pickles and files hold them.

    They load where there is no GPU, and take less room than a module.
    """
    state = network.state_dict()
    return {name: weight.cpu().numpy() for name, weight in state.items()}


def restored(
    build: Callable[[], nn.Module], weights: Mapping[str, np.ndarray]
) -> nn.Module:
    """A network, built anew, with the weights that it had.

    Raises
    ------
    ValueError
        If these are not the weights of such a network.
    """
    n_numbers = _SPARE_NUMBERS + 2 * sum(x.size for x in weights.values())
    with _making_at_most(n_numbers), initialised_by(torch.Generator()):
        network = build()
    tensors = {name: torch.tensor(x) for name, x in weights.items()}
    [dtype, *_] = {x.dtype for x in tensors.values() if x.is_floating_point()}
    try:
        network.to(dtype).load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError("The weights are not those of the network.") from error
    return network.eval()


class _making_at_most(TorchFunctionMode):
    """Within it, a network is not made that has many more numbers than its weights.

    A file may lie about sizes.
    """

    def __init__(self, n_numbers: int):
        super().__init__()
        self.n_left: float = n_numbers

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is torch.arange:
            first, end, step = (*(0,)[: len(args) == 1], *args, 1)[:3]
            self._make((end - first) / step)
        elif function in _MAKING:
            nowhere = {**kwargs, "device": "meta"}
            nowhere.pop("generator", None)
            self._make(function(*args, **nowhere).numel())
        return function(*args, **kwargs)

    def _make(self, n_numbers: float) -> None:
        self.n_left -= n_numbers
        if self.n_left < 0:
            raise ValueError("The network is too large for its weights.")


def network_on_cpu(network: nn.Module) -> nn.Module:
    """The network itself, or a copy of one that is elsewhere."""
    is_there = like(network).device.type == "cpu"
    return network if is_there else copy.deepcopy(network).cpu()
