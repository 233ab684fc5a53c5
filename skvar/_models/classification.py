"""From labelled series to a fitted classifier."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F

from .._data.panel import Panel
from .._data.units import standardise, units_of
from .._networks.aaren_classification import AarenForClassification
from .._training.inference import like
from .._training.loop import TrainingRecord, epochs_of, resolve_device, train
from .._training.randomness import Generators, initialised_by
from .fitted import WithNetwork, network_on_cpu
from .specification import TrainingSpecification

# Series that go through a network at once.
_BATCH = 64

# Steps of training by default.
_STEPS = 500


@dataclass(frozen=True, kw_only=True)
class AarenClassifierSpecification(TrainingSpecification):
    """Aaren over series with labels."""

    token_length: int

    def __post_init__(self):
        super().__post_init__()
        self._check_counts("token_length", "n_layers", "d_model", "batch_size")
        self._check_counts("max_epochs", least=0, optional=True)

    def epochs(self, n_series: int) -> int:
        """Passes over so many training series, at most."""
        if self.max_epochs is not None:
            return self.max_epochs
        return epochs_of(_STEPS, n_series, self.batch_size)

    def build(self, n_series: int, n_classes: int, longest: int) -> nn.Module:
        """Build the network, untrained, for series of at most so many rows."""
        return AarenForClassification(
            longest=longest,
            n_series=n_series,
            n_classes=n_classes,
            token_length=self.token_length,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            d_model=self.d_model,
            dropout=self.dropout,
        )


@dataclass(frozen=True)
class Classes(WithNetwork):
    """The model that a fitted classifier shows.

    Parameters
    ----------
    specification : AarenClassifierSpecification
    sizes : tuple of int
        Numbers of columns, of classes and of rows of the longest series.
    network : Module
    record : TrainingRecord
    """

    specification: AarenClassifierSpecification
    sizes: tuple[int, int, int]
    network: nn.Module
    record: TrainingRecord


@dataclass(frozen=True, eq=False)
class FittedClassifier:
    """All that a fitted classifier knows, and how a stream takes the next row.

    Parameters
    ----------
    model : Classes
        The network and how its training went.
    scaler : StandardScaler
        Of the columns.
    names : Index
        Of the columns.
    """

    model: Classes
    scaler: StandardScaler
    names: pd.Index

    takes_missing = False

    @property
    def n_series(self) -> int:
        """Numbers in a row."""
        return len(self.names)

    def probabilities(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities (n_series, n_classes) of whole series."""
        network, parts = self.model.network, []
        for rows, lengths, _ in _panel(values, self.scaler).batches(_BATCH):
            with torch.inference_mode():
                scores = network(rows.to(like(network)), lengths)
            parts.append(_softmax(scores))
        return np.concatenate(parts)

    def rolling_probabilities(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities (n_series, longest, n_classes) after every row; else NaN."""
        panel, parts = _panel(values, self.scaler), []
        longest = int(panel.lengths.max())
        for rows, lengths, _ in panel.batches(_BATCH):
            found = self._after_rows(rows)[0]
            found[np.arange(rows.shape[1]) >= lengths.numpy()[:, np.newaxis]] = np.nan
            missing = longest - rows.shape[1]
            padding = (0, 0), (0, missing), (0, 0)
            parts.append(np.pad(found, padding, constant_values=np.nan))
        return np.concatenate(parts)

    def __call__(self, state, row: np.ndarray) -> tuple:
        """State and probabilities (n_classes,) after a row in original units."""
        rows = torch.from_numpy(standardise(row[np.newaxis], self.scaler))
        probabilities, state = self._after_rows(rows.unsqueeze(0), state)
        return state, probabilities[0, 0]

    def on_cpu(self) -> "FittedClassifier":
        """The same where every machine can use it."""
        network = network_on_cpu(self.model.network)
        return replace(self, model=replace(self.model, network=network))

    def _after_rows(self, rows: Tensor, state=None) -> tuple[np.ndarray, object]:
        """Probabilities (B, n, n_classes) after standardised rows, and the state."""
        network = self.model.network
        with torch.inference_mode():
            scores, state = network.extend(rows.to(like(network)), state)
        return _softmax(scores), state


def estimate_classifier(
    specification: AarenClassifierSpecification,
    values: Sequence[np.ndarray],
    labels: np.ndarray,
    *,
    n_classes: int,
    names: pd.Index,
) -> FittedClassifier:
    """Train a network on series (n_rows, n_columns) with numbers of their classes."""
    device = resolve_device(specification.device)
    generators = Generators(specification.seed, device)
    with torch.inference_mode(False), torch.enable_grad():
        parts = _split(specification, labels, generators.cpu)
        scaler = units_of(np.concatenate([values[i] for i in parts[0]]))
        panel = _panel(values, scaler, labels)
        training, validation = (
            None if part is None else panel[torch.from_numpy(part)] for part in parts
        )
        sizes = len(names), n_classes, int(panel.lengths.max())
        with initialised_by(generators.cpu):
            network = specification.build(*sizes)
        options = specification.options(
            device, specification.epochs(len(training)), specification.batch_size
        )
        record = train(
            network, training, validation, options, generators, _cross_entropies
        )
    model = Classes(specification, sizes, network.eval(), record)
    return FittedClassifier(model, scaler, names)


def _panel(
    values: Sequence[np.ndarray],
    scaler: StandardScaler,
    labels: np.ndarray | None = None,
) -> Panel:
    """The series, standardised."""
    return Panel([standardise(x, scaler) for x in values], labels)


def _split(
    specification: AarenClassifierSpecification,
    labels: np.ndarray,
    generator: torch.Generator,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Numbers of the series to train on and of those held out, if any are."""
    numbers = np.arange(len(labels))
    if not specification.early_stopping:
        return numbers, None
    seed = torch.randint(2**31, (), generator=generator).item()
    fraction = specification.validation_fraction
    try:
        return train_test_split(
            numbers, test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={fraction} cannot hold series of "
            f"every class out: {error} Pass more series, or set "
            "early_stopping=False."
        ) from error


def _softmax(scores: Tensor) -> np.ndarray:
    return scores.cpu().double().softmax(dim=-1).numpy()


def _cross_entropies(network: nn.Module, panel: Panel) -> Tensor:
    """Cross-entropy of each series, after its last row."""
    network.eval()
    with torch.inference_mode():
        errors = [
            F.cross_entropy(network(rows, lengths), labels, reduction="none")
            for rows, lengths, labels in panel.batches(_BATCH)
        ]
    return torch.cat(errors).cpu().double()
