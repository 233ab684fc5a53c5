"""The linear Transformer that stays a VAR."""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import pandas as pd

from .._forecasting import matrices
from .._forecasting.forecaster import Forecaster, single_state
from .._models.families import SAMoVARSpecification
from .._typing import PathLike, Seed, Table


class SAMoVARForecaster(Forecaster):
    """Structural aligned mixture of VARs: a linear Transformer that stays a VAR.

    Tokens are segments of the series; the layers of linear attention are arranged so
    that the whole stack is one vector autoregression on the tokens [1]_. With
    ``static_path="ridge"`` the forecast is a mix of this network with a closed-form
    direct ridge from window to horizon, whose series share what they have in common.

    Parameters
    ----------
    lags : int or "auto", default="auto"
        Rows of history that a forecast sees. "auto" takes two seasons and the horizon
        where there are enough rows and fewer otherwise, and what the static path needs;
        its VAR is then one in error-correction form, for levels, trends and seasons.
    sp : int, list of int or "auto", default="auto"
        Rows of a season, of each one that there is: 12 for months, [24, 168] for hours.
        "auto" takes them from the time index; 1 is no season. Those of which the table
        has less than two are left out.
    horizon : int, optional
        Steps forecast in one pass and learned; the last step of ``fh`` in fit by
        default, else 1. Later steps come from feeding forecasts back.
    token_length : int, optional
        Rows in a token. By default a fourteenth of the lags, but at least 24 and a
        fourth of the horizon, and at most a fourth of the lags and the horizon, which
        is what the paper takes; where it is not the horizon, the next part or multiple
        of a season.
    n_layers : int, default=1
        Depth; 0 leaves the static path alone, without training.
    n_heads : int, default=4
        Heads; a divisor of ``d_model``.
    d_model : int, default=32
        Width.
    dropout : float, default=0.1
        Share of activations dropped in training.
    scaled_attention : bool, default=True
        Whether token t divides its sum over the past by ``d_model / n_heads *
        sqrt(t)``, which keeps layers and long windows at one scale; the paper does not.
    centre_on : {"auto", "token", "last"}, default="auto"
        What windows are centred on: the mean of their last token, as in the paper, or
        their last row. "auto" takes the one that is closer to what follows.
    predictor : {"linear_attention", "fixed_var"}, default="linear_attention"
        VAR matrices from the input, or fixed ones (the paper's "FixedVAR").
    static_path : {"auto", "ridge", "var", None}, default="auto"
        Closed form beside the network: a direct ridge from window to horizon, on
        windows minus their last row, with a matrix for each series that is drawn to one
        for all, and a mean of such ridges that look back ``lags`` rows, one half, a
        fourth and an eighth of them, those that err about as little as the best; a VAR,
        with automatic lags in error-correction form and else a ridge VAR of at most 4
        lags; the one of them with the least error on fifths of the rows left out in
        turn (with automatic lags and fewer than 24 steps, the VAR); or None, the paper.
        The forecast is a weighted mean of both. The network's weight is the one with
        the least error on the held-out rows, drawn to one half by its standard error
        (just that with ``early_stopping=False``). It is zero where less than two
        horizons are held out, and where on the rows left out no ridge errs less than
        the last value.
    alpha : float or "auto", default="auto"
        Ridge penalty of the static path on standardised series, per window, times the
        lag over its mean; that of a VAR is multiplied by the square of the lag. "auto"
        chooses it: for a VAR by the marginal likelihood, else on fifths of the rows
        left out in turn.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW.
    max_epochs : int, optional
        Epochs, at most; by default as many as make 300 steps, but at least 2 and at
        most 20. An epoch passes over all training windows, or where these are more over
        a new sample of 800,000 / n_series. Scores come from all held-out windows, or
        from about 200,000 / n_series, evenly spaced.
    batch_size : int or "auto", default="auto"
        Windows in a step. "auto" takes 32, and of more than 128 series as many as
        have 4096 series together.
    weight_decay : float, default=0.1
        Of AdamW.
    early_stopping : bool, default=True
        Whether to hold out the last rows, keep the epoch that forecasts them best and
        stop when nothing improves. With automatic lags and fewer than 1000 windows
        nothing is trained beside the VAR.
    retrain : bool, default=True
        Whether to estimate anew on all rows after the held-out rows have done their
        service: the network for ``best_epoch_`` epochs, and the static path. With False
        held-out rows choose, but nothing is estimated on them, also where
        ``n_layers=0``.
    validation_fraction : float, default=0.15
        Share of the rows held out, the last ones; at least ``horizon`` rows.
    n_iter_no_change : int, default=4
        Epochs without improvement before training stops.
    past_covariates : list of str, optional
        Columns of X whose future is not known. They are series like those of ``y``,
        but not forecast for the user; all other columns are known covariates, needed
        over the horizon as well.
    calendar : list of str, optional
        Known covariates made of the time index: "hour", "dayofweek", "month",
        "quarter", "minute", "day", "dayofyear", "is_weekend", and "is_month_start",
        "is_month_end" and the same of quarter and year.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights and scaling of the last fit.
    device : str, default="auto"
        "auto" takes CUDA, then MPS, then the CPU; or the name of a torch device.
    random_state : int, RandomState or None, default=None
        Seed of initial weights, batches and dropout.
    verbose : int, default=0
        Whether to show a progress bar.
    on_interrupt : {"raise", "keep_best"}, default="raise"
        What Ctrl-C does while the network trains: "raise" leaves the estimator as it
        was before ``fit``, "keep_best" ends training with the best weights so far and
        a warning.
    checkpoint : str or path, optional
        Directory that keeps how far each training is. A fit of the same data and
        parameters goes on from there after the process was killed, to the very same
        result, and needs no training once it is done; ``random_state`` must be given.
        Delete the directory when its fits are not wanted again.

    Attributes
    ----------
    coef_ : ndarray of shape (lags, n_series, n_series)
        The exact local linear map of the first forecast step on the window, in
        original units, averaged over the windows of the history (1024 of them, evenly
        spaced, if there are more); computed at first use. ``coef_[l - 1]`` is the
        matrix at lag l, rows respond, columns cause.
    intercept_ : ndarray of shape (n_series,)
        The remainder of the first step, averaged like ``coef_``.
    sigma_u_ : ndarray of shape (n_series, n_series)
        Covariance of the one-step errors on these windows, in original units.
    lags_ : int
        Rows of history that a forecast sees.
    sp_ : int or list of int
        Rows of the season in the closed form; a list of several, 1 for none.
    evidence_ : Evidence or None
        What the rows say about a VAR in closed form: its penalties, log evidence, rows
        and coefficients.
    log_evidence_ : float or None
        Logarithm of the marginal likelihood of that VAR, up to a constant.
    network_weight_ : float
        Weight of the network in the forecast; 0 is the closed form alone.
    horizon_ : int
        Steps forecast in one pass.
    alpha_ : float or None
        The ridge penalty used, of the longest look-back where several are averaged;
        None without a static path, or where it is a VAR in error-correction form.
    loss_curve_ : list of float
        Mean training loss of each epoch: next-token plus forecast error.
    validation_scores_ : list of float
        Minus the mean squared error of the network without the static path on the
        held-out rows, in standardised units, before training and after each epoch.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        The epoch that forecast the held-out rows best; 0 is before training. With
        ``retrain`` the network is trained anew for so many, which the attributes above
        do not show.
    network_ : torch.nn.Module
        A ``skvar.nn.SAMoVAR``, or a ``skvar.nn.StaticPath`` around one.
    scaler_ : StandardScaler
        Of the series, fitted on the rows that are not held out; the variance of a
        constant is 0, which is forecast by itself. After a fit to a panel, a dict with
        that of each instance. Matrices, intercepts and covariances, too, differ in
        units between instances: there they are attributes of ``instance(key)``.
    device_ : torch.device
        Where the network is.
    exog_coef_ : ndarray of shape (n_lags, n_targets, n_covariates)
        Effect of known covariates on the series of ``y`` in original units, that of the
        same row first, then of earlier rows; columns of X first, then features of the
        calendar, sines and cosines each one by one.
    covariates_ : DataFrame
        What acts: of each column, the rows that act on each series of ``y``, as text
        such as "0, 3"; empty where the column was left out.
    feature_names_in_ : Index
        Names of the series, then of past covariates.
    n_features_in_ : int
        Number of series with past covariates.
    n_parameters_ : int
        Estimated numbers that the forecasts depend on.

    References
    ----------
    .. [1] Lu, J. and Yang, S. (2025). Linear Transformers as VAR Models: Aligning
       Autoregressive Attention Mechanisms with Autoregressive Forecasting. ICML.
       arXiv:2502.07244.

    Examples
    --------
    >>> from sktime.datasets import load_macroeconomic
    >>> from skvar import SAMoVARForecaster
    >>> growth = load_macroeconomic()[["realgdp", "realcons"]].pct_change().iloc[1:]
    >>> forecaster = SAMoVARForecaster(lags=8, max_epochs=2, random_state=0)
    >>> forecaster.fit(growth, fh=[1, 2, 3, 4]).predict().shape
    (4, 2)
    """

    _specification = SAMoVARSpecification

    def __init__(
        self,
        lags: int | Literal["auto"] = "auto",
        *,
        sp: int | list[int] | Literal["auto"] = "auto",
        horizon: int | None = None,
        token_length: int | None = None,
        n_layers: int = 1,
        n_heads: int = 4,
        d_model: int = 32,
        dropout: float = 0.1,
        scaled_attention: bool = True,
        centre_on: Literal["auto", "token", "last"] = "auto",
        predictor: Literal["linear_attention", "fixed_var"] = "linear_attention",
        static_path: Literal["auto", "ridge", "var"] | None = "auto",
        alpha: float | Literal["auto"] = "auto",
        learning_rate: float = 3e-3,
        max_epochs: int | None = None,
        batch_size: int | Literal["auto"] = "auto",
        weight_decay: float = 0.1,
        early_stopping: bool = True,
        retrain: bool = True,
        validation_fraction: float = 0.15,
        n_iter_no_change: int = 4,
        past_covariates: Sequence[str] | None = None,
        calendar: Sequence[str] | None = None,
        warm_start: bool = False,
        device: str = "auto",
        random_state: Seed = None,
        verbose: int = 0,
        on_interrupt: Literal["raise", "keep_best"] = "raise",
        checkpoint: PathLike | None = None,
    ):
        self.lags = lags
        self.sp = sp
        self.horizon = horizon
        self.token_length = token_length
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.d_model = d_model
        self.dropout = dropout
        self.scaled_attention = scaled_attention
        self.centre_on = centre_on
        self.predictor = predictor
        self.static_path = static_path
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.retrain = retrain
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.past_covariates = past_covariates
        self.calendar = calendar
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.on_interrupt = on_interrupt
        self.checkpoint = checkpoint
        super().__init__()

    @overload
    def token_var_matrices(
        self, Y: Table, *, segment: int = -1, return_tokens: Literal[False] = False
    ) -> np.ndarray: ...

    @overload
    def token_var_matrices(
        self, Y: Table, *, segment: int = -1, return_tokens: Literal[True]
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def token_var_matrices(
        self, Y: Table, *, segment: int = -1, return_tokens: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Matrices of the VAR that the network applies to its tokens.

        For every window of a table and every series, in closed form, from each token to
        the output at the main token of a segment; the static path has none. Tokens come
        in pairs for each segment of the window, oldest first: a mixture of all series
        (context), then the series itself (main).

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units.
        segment : int, default=-1
            Of the window, oldest first; the last one makes the forecast.
        return_tokens : bool, default=False
            Whether to return the tokens as well.

        Returns
        -------
        matrices : ndarray of shape (n_windows, n_series, n_tokens, n_heads, d, d)
            From the tokens up to that one. Heads do not mix; d is
            ``d_model / n_heads``.
        tokens : ndarray of shape (n_windows, n_series, n_tokens, n_heads, d)
            If asked for. The output of the network's VAR is the last token plus the sum
            over tokens of matrices times tokens.

        Raises
        ------
        ValueError
            If ``Y`` is too short, the forecaster has no layers, or there is no such
            segment.

        References
        ----------
        Lu & Yang (2025), arXiv:2502.07244, section 4.
        """
        return matrices.token_var_matrices(
            single_state(self), Y, segment, return_tokens
        )

    def influence_paths(self, Y: Table, *, n_strongest: int = 10) -> pd.DataFrame:
        """Split the matrices between tokens by the way that influence takes.

        A path leads from a token through one token for every further layer to the last
        main token; the matrices of all paths from a token sum to its entry in
        ``token_var_matrices``.

        Parameters
        ----------
        Y : Series, DataFrame or array
            n_rows >= lags rows in original units.
        n_strongest : int, default=10
            Paths to return for every window and series.

        Returns
        -------
        DataFrame
            Columns "time" (last row of the window), "series", "depth" (layers passed),
            "path" (the tokens on the way: "main-2" is the series' segment two before
            the last one, "context-0" the mixture of all series in the last one),
            "strength" (Frobenius norm of the path's matrix) and "contribution" (norm
            of what it adds to the output), in units of the tokens, strongest first.

        Raises
        ------
        ValueError
            If ``Y`` is too short, the forecaster has no layers, or a window has more
            than a hundred thousand paths of one depth.
        """
        return matrices.influence_paths(single_state(self), Y, n_strongest)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Small settings for sktime's test suite.

        Parameters
        ----------
        parameter_set : str
            Ignored.

        Returns
        -------
        list of dict
        """
        small = {"lags": 4, "n_heads": 2, "d_model": 4, "random_state": 0}
        return [
            {**small, "n_layers": 1, "max_epochs": 2},
            {
                **small,
                "n_layers": 2,
                "max_epochs": 1,
                "token_length": 2,
                "static_path": None,
                "early_stopping": False,
            },
            {"lags": 3, "n_layers": 0},
        ]
