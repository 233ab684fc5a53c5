"""Each network's own hyper-parameters, and how it is built of them."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar
from torch import nn

from .._closed_form.covariates import CovariateFeatures
from .._closed_form.terms import Deterministic, Ordered
from .._data.seasons import seasons_of
from .._networks.aaren_forecasting import AarenForForecasting
from .._networks.informer import Informer
from .._networks.itransformer import ITransformer
from .._networks.linear_attention_var import LinearAttentionVAR
from .._networks.linear_transformer import LinearTransformer
from .._networks.readout import Readout
from .._networks.samovar import SAMoVAR
from .._networks.static_path import StaticPath
from .rows import Rows
from .specification import Specification

if TYPE_CHECKING:
    from typing_extensions import Self

# The VAR that a static path may be: lags, and inputs that they may add up to.
VAR_LAGS, VAR_INPUTS = 4, 512

# Automatic lags: of a VAR that is not in error-correction form; of other networks at
# least, where there are enough rows, and at most.
_VAR_LAGS, _LEAST_ROWS, _MOST_ROWS = 4, 24, 1024

# By default, tokens that a window has at least and, of more rows than stand here, at
# most (benchmarks/NOTES.md).
_LEAST_TOKENS, _MOST_TOKENS, _ROWS_IN_TOKEN = 4, 14, 24
# Tokens of a horizon, at most: each is a pass through the network.
_PASSES = 4


@dataclass(frozen=True, kw_only=True)
class LinearAttentionVARSpecification(Specification):
    """A classical ridge VAR under linear attention on the observed series."""

    tracking_rows: int
    trend: str = "c"
    seasonal: bool = False
    covariate_lags: int | str = "auto"

    windows_in_step: ClassVar[int] = 64

    def __post_init__(self):
        super().__post_init__()
        self._check_counts("tracking_rows", "max_epochs", least=0)
        if self.trend not in ("n", "c", "ct"):
            raise ValueError(f"trend must be 'n', 'c' or 'ct', not {self.trend!r}.")
        check_scalar(self.seasonal, "seasonal", (bool, np.bool_))
        if not isinstance(self.covariate_lags, str):
            self._check_counts("covariate_lags", least=0)
        elif self.covariate_lags != "auto":
            raise ValueError(
                "covariate_lags must be a number or 'auto', not "
                f"{self.covariate_lags!r}."
            )
        if self._orders_terms and self.lags == "auto":
            raise ValueError(
                "Terms that trend, seasonal or covariate_lags order stand beside a "
                "given number of lags; lags='auto' chooses levels, trends and seasons "
                "by itself. Pass lags as a number."
            )
        if self._orders_terms and self.tracking_rows:
            raise ValueError(
                "tracking_rows reads errors of the VAR without the terms that trend, "
                "seasonal or covariate_lags order; pass tracking_rows=0."
            )

    @property
    def _orders_terms(self) -> bool:
        return self.trend != "c" or self.seasonal or not self.selects_covariates

    @property
    def selects_covariates(self) -> bool:
        """Whether known covariates act by an effect of columns that are selected."""
        return self.covariate_lags == "auto"

    def ordered(
        self,
        features: CovariateFeatures | None,
        origin: pd.Index,
        step: pd.DateOffset | int,
    ) -> Ordered | None:
        """Columns that act on every row inside the VAR, if such are ordered."""
        covariates, calendar, lags = pd.Index([]), (), 0
        if not self.selects_covariates:
            lags = self.covariate_lags
            if features is not None:
                covariates, calendar = features.names, features.calendar
        season = self._season(step) if self.seasonal else 1
        given = self.trend != "c", self.seasonal, len(covariates), len(calendar)
        if not any(given):
            return None
        deterministic = Deterministic(self.trend, season, tuple(calendar), origin, step)
        return Ordered(deterministic, covariates, lags)

    def _season(self, step: pd.DateOffset | int) -> int:
        seasons = seasons_of(self.sp, step)
        if len(seasons) != 1:
            raise ValueError(
                f"seasonal=True needs one season, but sp={self.sp!r} gives "
                f"{list(seasons)}; pass its rows, such as sp=4 for quarters."
            )
        return seasons[0]

    def automatic_lags(self, rows, seasons, form):
        """Rows of a window, of which the closed form takes so many at least."""
        return (
            min(_VAR_LAGS, max(1, rows.longest() // 8)) if form is None else form.rows
        )

    @property
    def window_rows(self):
        """Rows of history that the network sees."""
        return self.lags + self.tracking_rows if self.n_layers else self.lags

    @property
    def steps_learned(self):
        """Steps ahead that the network learns; later ones come from feeding back."""
        return 1

    def build(self, n_series, n_targets=None):
        """Build the network, untrained; without targets it forecasts the series."""
        sizes = {"lags": self.lags, "n_series": n_series, "n_layers": self.n_layers}
        if n_targets and not self.n_layers:
            return LinearAttentionVAR(**sizes, n_targets=n_targets)
        network = LinearAttentionVAR(
            **sizes,
            attention_lags=self.form and min(self.form.own_lags + 1, self.lags),
            tracking_rows=self.tracking_rows if self.n_layers else 0,
            n_heads=self.n_heads,
            d_model=self.d_model,
            dropout=self.dropout,
        )
        if n_targets is None:
            return network
        return Readout(
            network,
            lags=self.lags,
            n_series=n_series,
            n_targets=n_targets,
            start_at_zero=False,
        )


@dataclass(frozen=True, kw_only=True)
class StaticPathSpecification(Specification):
    """A network beside a regression in closed form."""

    static_path: str | None
    retrain: bool

    most_windows_in_average: ClassVar[int | None] = 1024
    # Rows of the shortest window that the network takes.
    least_lags: ClassVar[int] = 1

    def __post_init__(self):
        super().__post_init__()
        self._check_counts("max_epochs", least=0, optional=True)
        if self.static_path not in ("auto", "ridge", "var", None):
            raise ValueError(
                "static_path must be 'auto', 'ridge', 'var' or None, not "
                f"{self.static_path!r}."
            )
        check_scalar(self.retrain, "retrain", (bool, np.bool_))
        if not self.n_layers and self.static_path is None:
            raise ValueError(
                "n_layers=0 leaves only the static path; set static_path='auto' or "
                "n_layers of at least 1."
            )

    @property
    def holds_rows_out(self):
        """Whether rows are held out: to stop training, or because they only choose."""
        return bool(self.early_stopping and (self.n_layers or not self.retrain))

    @property
    def may_have_form(self):
        """Whether the closed form may be one in error-correction form."""
        return super().may_have_form and self.static_path in ("auto", "var")

    def allows_form(self, rows):
        """Whether some rows can have such a form."""
        few = rows.segments[0].shape[1] <= VAR_INPUTS // VAR_LAGS
        return super().allows_form(rows) and few

    def automatic_lags(self, rows, seasons, form):
        """Rows of a window, of which the closed form takes so many at least."""
        wanted = max(_LEAST_ROWS, 2 * max(seasons, default=1), self.horizon)
        n_rows = rows.longest()
        spare = n_rows - self.n_held_out(n_rows, self.horizon) - self.horizon
        fitting = max(self.least_lags, min(wanted, _MOST_ROWS, spare // 3))
        return fitting if form is None else max(fitting, form.rows)

    def build(self, n_series, n_targets=None):
        """Build the network, untrained, within the static path if there is one."""
        network = self.network(n_series) if self.n_layers else None
        if self.static_path is None:
            return network
        return StaticPath(
            network,
            lags=self.lags,
            horizon=self.horizon,
            n_series=n_series,
            order=self.var_order(n_series),
        )

    def var_order(self, n_series: int) -> int:
        """Lags of the VAR that the static path may be."""
        if self.form is not None:
            return self.form.rows
        return max(1, min(VAR_LAGS, self.lags, VAR_INPUTS // n_series))

    def network(self, n_series: int) -> nn.Module:
        """Build the network alone, untrained."""
        raise NotImplementedError

    def sizes(self, n_series: int) -> dict:
        """Arguments that every network is built with."""
        return {
            "lags": self.lags,
            "horizon": self.horizon,
            "n_series": n_series,
            "n_layers": self.n_layers,
            "n_heads": self.n_heads,
            "d_model": self.d_model,
            "dropout": self.dropout,
        }


@dataclass(frozen=True, kw_only=True)
class TokenSpecification(StaticPathSpecification):
    """A network whose tokens are made of several rows."""

    token_length: int | None

    def __post_init__(self):
        super().__post_init__()
        self._check_counts("token_length", optional=True)

    def sizes(self, n_series):
        """Arguments that every network is built with."""
        return {**super().sizes(n_series), "token_length": self.rows_in_token()}

    def with_lags(self, rows: Rows, seasons: tuple[int, ...]) -> "Self":
        """The same with lags and tokens that suit some rows and seasons."""
        found = super().with_lags(rows, seasons)
        if self.token_length is not None:
            return found
        return replace(found, token_length=found.rows_in_token(min(seasons, default=1)))

    def like(self, fitted: "Self") -> "Self":
        """The same with the lags and tokens that an earlier fit chose."""
        found = super().like(fitted)
        if self.token_length is not None:
            return found
        return replace(found, token_length=fitted.token_length)

    def rows_in_token(self, season: int = 1) -> int:
        """Rows in a token: as given, or as many as leave a window a few tokens.

        Parts or multiples of a season, so that each token of a window stands at the
        same place in it, where there are some of more than a row.
        """
        if self.token_length is not None:
            return self.token_length
        most = max(1, self.lags // _LEAST_TOKENS)
        rows = min(self.most_rows_in_token(), most)
        if rows == self.horizon:
            return rows
        whole = [n for n in range(2, most + 1) if season % n == 0 or n % season == 0]
        return min(whole or [rows], key=lambda n: abs(math.log(n / rows)))

    def most_rows_in_token(self) -> int:
        """Rows in a token by default, where the window is long."""
        passed = math.ceil(self.horizon / _PASSES)
        rows = max(_ROWS_IN_TOKEN, self.lags // _MOST_TOKENS, passed)
        return min(self.horizon, rows)


@dataclass(frozen=True, kw_only=True)
class SAMoVARSpecification(TokenSpecification):
    """SAMoVAR beside a regression in closed form."""

    scaled_attention: bool
    centre_on: str
    predictor: str

    def __post_init__(self):
        super().__post_init__()
        check_scalar(self.scaled_attention, "scaled_attention", (bool, np.bool_))
        if self.centre_on not in ("auto", "token", "last"):
            raise ValueError(
                f"centre_on must be 'auto', 'token' or 'last', not {self.centre_on!r}."
            )

    def network(self, n_series):
        """Build the network alone, untrained."""
        return SAMoVAR(
            **self.sizes(n_series),
            scaled_attention=self.scaled_attention,
            predictor=self.predictor,
        )

    def build(self, n_series, n_targets=None):
        """Build the network, untrained; targets have a regression beside it."""
        if n_targets is None:
            return super().build(n_series)
        if not self.n_layers:
            return LinearAttentionVAR(
                lags=self.lags, n_series=n_series, n_targets=n_targets, n_layers=0
            )
        return Readout(
            self.network(n_series),
            lags=self.lags,
            n_series=n_series,
            n_targets=n_targets,
            start_at_zero=True,
        )


@dataclass(frozen=True, kw_only=True)
class AarenSpecification(TokenSpecification):
    """Aaren beside a regression in closed form."""

    is_recurrent: ClassVar[bool] = True

    def most_rows_in_token(self):
        """Rows in a token by default, where the window is long."""
        return _ROWS_IN_TOKEN

    def network(self, n_series):
        """Build the network alone, untrained."""
        return AarenForForecasting(**self.sizes(n_series))


@dataclass(frozen=True, kw_only=True)
class LinearTransformerSpecification(TokenSpecification):
    """The misaligned linear Transformer beside a regression in closed form."""

    def network(self, n_series):
        """Build the network alone, untrained."""
        return LinearTransformer(**self.sizes(n_series))


@dataclass(frozen=True, kw_only=True)
class ITransformerSpecification(StaticPathSpecification):
    """The inverted Transformer beside a regression in closed form."""

    d_ff: int | None

    def __post_init__(self):
        super().__post_init__()
        self._check_counts("d_ff", optional=True)

    def network(self, n_series):
        """Build the network alone, untrained."""
        return ITransformer(**self.sizes(n_series), d_ff=self.d_ff)


@dataclass(frozen=True, kw_only=True)
class InformerSpecification(StaticPathSpecification):
    """Informer beside a regression in closed form."""

    label_len: int | None
    factor: int
    d_ff: int | None

    least_lags: ClassVar[int] = 2

    def __post_init__(self):
        super().__post_init__()
        self._check_counts("factor")
        self._check_counts("d_ff", "label_len", optional=True)

    def network(self, n_series):
        """Build the network alone, untrained."""
        return Informer(
            **self.sizes(n_series),
            label_len=self.label_len,
            factor=self.factor,
            d_ff=self.d_ff,
        )
