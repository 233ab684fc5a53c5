"""What is to be estimated, and how: the hyper-parameters of an estimator, checked."""

import math
import numbers
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_scalar
from torch import nn

from .._closed_form.covariates import CovariateFeatures
from .._closed_form.error_correction import choose_form
from .._closed_form.form import Form
from .._closed_form.terms import Ordered
from .._data.windows import validation_rows
from .._training.loop import TrainingOptions, epochs_of
from .rows import Rows

if TYPE_CHECKING:
    from typing_extensions import Self

# Steps of training by default, and epochs that make them of few rows.
_STEPS, _MOST_EPOCHS = 300, 20

# Windows of single series, at most: in a step by default, in an epoch, and among those
# that training is scored on (benchmarks/NOTES.md).
_MOST_IN_STEP, _MOST_IN_EPOCH, _MOST_SCORED = 4_096, 800_000, 200_000

# Windows below which networks hardly ever improve on a form chosen by evidence
# (benchmarks/NOTES.md).
_LEAST_WINDOWS = 1000

# Rows of the shortest window that automatic lags may come to, and of the longest one
# of a form in error-correction shape, but for long seasons.
_LEAST_WINDOW, _MOST_ROWS = 2, 256


@dataclass(frozen=True, kw_only=True)
class TrainingSpecification:
    """How a network is trained: parameters that all estimators have, under their names.

    ``seed`` is what ``random_state`` drew.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of its range.
    """

    n_layers: int
    n_heads: int
    d_model: int
    dropout: float
    learning_rate: float
    max_epochs: int | None
    batch_size: int | str
    weight_decay: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    device: str
    verbose: int
    on_interrupt: str = "raise"
    checkpoint: str | None = None
    seed: int = 0

    @classmethod
    def from_parameters(cls, parameters: Mapping) -> "Self":
        """Take those of an estimator's parameters that have a field."""
        names = [field.name for field in fields(cls)]
        used = {name: parameters[name] for name in names if name in parameters}
        if used["checkpoint"] is not None:
            used["checkpoint"] = os.fspath(used["checkpoint"])
            if parameters["random_state"] is None:
                raise ValueError(
                    "checkpoint needs a random_state, so that a fit that goes on is "
                    "the one that was ended; pass an integer."
                )
        return cls(**used)

    def __post_init__(self):
        check_scalar(self.early_stopping, "early_stopping", (bool, np.bool_))
        if self.on_interrupt not in ("raise", "keep_best"):
            raise ValueError(
                "on_interrupt must be 'raise' or 'keep_best', not "
                f"{self.on_interrupt!r}."
            )
        self._check_counts("n_heads", "n_iter_no_change")
        for name in ("learning_rate", "weight_decay"):
            self._check_below(name, math.inf)
        for name in ("dropout", "validation_fraction"):
            self._check_below(name, 1)

    def _check_counts(self, *names: str, least: int = 1, optional: bool = False):
        for name in names:
            check_count(getattr(self, name), name, least=least, optional=optional)

    def _check_below(self, name: str, bound: float) -> None:
        value = getattr(self, name)
        check_scalar(value, name, numbers.Real)
        if not 0 <= value < bound:
            raise ValueError(f"{name}={value} is not in the range [0, {bound}).")

    def options(
        self,
        device: torch.device,
        max_epochs: int,
        batch_size: int,
        required_gain: float = 0.0,
        epoch_size: int | None = None,
    ) -> TrainingOptions:
        """What the training loop needs of it."""
        return TrainingOptions(
            learning_rate=self.learning_rate,
            max_epochs=max_epochs,
            batch_size=batch_size,
            weight_decay=self.weight_decay,
            n_iter_no_change=self.n_iter_no_change,
            required_gain=required_gain,
            device=device,
            verbose=self.verbose,
            on_interrupt=self.on_interrupt,
            checkpoint=self.checkpoint,
            epoch_size=epoch_size,
        )


@dataclass(frozen=True, kw_only=True)
class Specification(TrainingSpecification):
    """A network over windows of standardised series, and how it is estimated.

    ``horizon`` is the number of steps forecast at once; None until it is known.
    ``form`` is that of a closed form in error-correction shape, where `with_lags` chose
    one with the lags.
    """

    lags: int | str
    alpha: float | str
    horizon: int | None = 1
    sp: int | Iterable[int] | str = 1
    form: Form | None = None

    # At most so many windows, evenly spaced, enter average matrices; None takes all.
    most_windows_in_average: ClassVar[int | None] = None
    # Windows in a step by default, of a table of few series.
    windows_in_step: ClassVar[int] = 32
    # Whether the network carries a state through a whole history.
    is_recurrent: ClassVar[bool] = False

    def __post_init__(self):
        super().__post_init__()
        self._check_counts("d_model")
        if not isinstance(self.batch_size, str):
            self._check_counts("batch_size")
        elif self.batch_size != "auto":
            raise ValueError(
                f"batch_size must be an integer or 'auto', not {self.batch_size!r}."
            )
        if isinstance(self.lags, str):
            if self.lags != "auto":
                raise ValueError(
                    f"lags must be an integer or 'auto', not {self.lags!r}."
                )
        else:
            self._check_counts("lags")
        check_seasons(self.sp)
        self._check_counts("n_layers", least=0)
        self._check_counts("horizon", optional=True)
        if not isinstance(self.alpha, str):
            self._check_below("alpha", math.inf)
        elif self.alpha != "auto":
            raise ValueError(f"alpha must be a number or 'auto', not {self.alpha!r}.")

    @property
    def window_rows(self) -> int:
        """Rows of history that the network sees."""
        return self.lags

    @property
    def holds_rows_out(self) -> bool:
        """Whether training is stopped by rows that are held out."""
        return bool(self.early_stopping and self.n_layers)

    @property
    def steps_learned(self) -> int:
        """Steps ahead that the network learns; later ones come from feeding back."""
        return self.horizon

    def ordered(
        self,
        features: CovariateFeatures | None,
        origin: pd.Index,
        step: pd.DateOffset | int,
    ) -> Ordered | None:
        """Columns that act on every row inside the VAR, if such are ordered.

        ``features`` are covariates that are known ahead, ``origin`` is the first time.
        """
        return None

    @property
    def selects_covariates(self) -> bool:
        """Whether known covariates act by an effect of columns that are selected."""
        return True

    def with_lags(self, rows: Rows, seasons: tuple[int, ...]) -> "Self":
        """The same with lags that suit some rows and seasons, where lags are "auto"."""
        if self.lags != "auto":
            return self
        form = None
        if (
            rows.longest() > _LEAST_WINDOW
            and self.may_have_form
            and self.allows_form(rows)
        ):
            most_rows = self._most_rows(rows.longest(), seasons)
            form = choose_form(rows.segments, seasons, rows.observed, most_rows)
        return replace(self, lags=self.automatic_lags(rows, seasons, form), form=form)

    def like(self, fitted: "Self") -> "Self":
        """The same with the lags that an earlier fit chose, where lags are "auto"."""
        if self.lags != "auto":
            return self
        return replace(self, lags=fitted.lags, form=fitted.form)

    def _most_rows(self, n_rows: int, seasons: tuple[int, ...]) -> int:
        """Rows of a window that leave some windows, but hold a season if they can."""
        longest = max(seasons, default=1)
        wanted = max(int(0.8 * n_rows), longest + 12)
        most = max(_MOST_ROWS, 3 * longest + 32)
        return max(_LEAST_WINDOW, min(wanted, most, n_rows - 1))

    @property
    def may_have_form(self) -> bool:
        """Whether the closed form may be one in error-correction form."""
        return self.alpha == "auto"

    def allows_form(self, rows: Rows) -> bool:
        """Whether some rows can have such a form."""
        return rows.n_inputs is None

    def automatic_lags(
        self, rows: Rows, seasons: tuple[int, ...], form: Form | None
    ) -> int:
        """Rows of a window, of which the closed form takes so many at least."""
        raise NotImplementedError

    def n_held_out(self, n_rows: int, horizon: int) -> int:
        """Rows held out of so many."""
        if not self.holds_rows_out:
            return 0
        return validation_rows(n_rows, horizon, self.validation_fraction)

    def rows_trained_on(self, n_rows: Mapping) -> dict:
        """Of so many rows of each table, those that are not held out."""
        horizon, known = self.steps_learned, {}
        least = horizon + (_LEAST_WINDOW if self.lags == "auto" else self.window_rows)
        for key, n in n_rows.items():
            n_before = n - self.n_held_out(n, horizon)
            known[key] = n_before if n_before >= least else n
        is_worth_it = self.suffices_for_training(sum(known.values()))
        return known if is_worth_it else dict(n_rows)

    def suffices_for_training(self, n_windows: int) -> bool:
        """Whether a network beside the closed form may improve on it.

        Not where a form that evidence chooses leaves few windows.
        """
        may_have_form = self.lags == "auto" and self.may_have_form
        of_evidence = self.form is not None or may_have_form
        return n_windows >= (_LEAST_WINDOWS if of_evidence else 1)

    def suffices(self, n_rows: int, horizon: int) -> bool:
        """Whether so many rows hold a window to train on, and those held out.

        A form that evidence chooses needs no more than itself and a row to regress.
        """
        window = _LEAST_WINDOW if self.lags == "auto" else self.window_rows
        if self.form is not None or (self.lags == "auto" and self.may_have_form):
            return n_rows > window
        return n_rows >= window + horizon + self.n_held_out(n_rows, horizon)

    def step_size(self, n_series: int) -> int:
        """Windows in a step of training."""
        if self.batch_size != "auto":
            return self.batch_size
        return max(1, min(self.windows_in_step, _MOST_IN_STEP // n_series))

    def epoch_size(self, n_series: int) -> int:
        """Windows in an epoch, at most."""
        return max(1, _MOST_IN_EPOCH // n_series)

    def epochs(self, n_windows: int, n_series: int) -> int:
        """Epochs with so many training windows, at most."""
        if self.max_epochs is not None:
            return self.max_epochs
        n_drawn = min(n_windows, self.epoch_size(n_series))
        return min(epochs_of(_STEPS, n_drawn, self.step_size(n_series)), _MOST_EPOCHS)

    def scored_stride(self, n_windows: int, n_series: int) -> int:
        """Of so many windows held out, every how many-th one training is scored on."""
        return max(1, math.ceil(n_windows * n_series / _MOST_SCORED))

    def build(self, n_series: int, n_targets: int | None = None) -> nn.Module:
        """Build the network, untrained; without targets it forecasts the series."""
        raise NotImplementedError


def check_seasons(sp) -> None:
    """Raise unless ``sp`` is "auto", a positive integer or several of these."""
    if isinstance(sp, str):
        if sp != "auto":
            raise ValueError(f"sp must be 'auto', an integer or a list, not {sp!r}.")
        return
    seasons = sp if isinstance(sp, Iterable) else [sp]
    for season in seasons:
        check_count(season, "sp")
    if not len(list(seasons)):
        raise ValueError("sp=[] names no season; pass 1 for none.")


def check_count(value, name: str, *, least: int = 1, optional: bool = False) -> None:
    """Raise unless a parameter is an integer of at least so much, or None if it may."""
    if isinstance(value, bool):
        raise TypeError(f"{name}={value} must be an integer, not a bool.")
    if value is not None or not optional:
        check_scalar(value, name, numbers.Integral, min_val=least)
