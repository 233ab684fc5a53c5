"""Linear attention on the observed series: a VAR whose matrices follow the input."""

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from .._forecasting import dynamics
from .._forecasting.forecaster import Forecaster, single_state
from .._models.families import LinearAttentionVARSpecification
from .._typing import PathLike, Seed, Table


class LinearAttentionVAR(Forecaster):
    """Vector autoregression whose matrices are computed from the window.

    A classical ridge VAR(p), solved in closed form, plus a dynamic part by linear
    attention on the observed series themselves: each past value and the present query
    add a rank-one matrix between the series [1]_. Before the first epoch the model is
    the classical VAR, so that early stopping keeps it where nothing is gained.

    Parameters
    ----------
    lags : int or "auto", default="auto"
        Order p of the VAR. "auto" estimates the VAR in error-correction form, for
        levels, trends and seasons, whose form and penalties have the largest evidence.
        A number p gives the classical ridge VAR(p).
    sp : int, list of int or "auto", default="auto"
        Rows of a season, of each one that there is: 12 for months, [24, 168] for hours.
        "auto" takes them from the time index; 1 is no season. Those of which the table
        has less than two are left out.
    tracking_rows : int, default=0
        Rows before these from which the matrices are tracked: the errors of the
        classical VAR on them tell how the matrices have drifted or switched [2]_. A few
        hundred follow a slow drift; 0 leaves tracking out, as does ``n_layers=0``. A
        window has ``lags + tracking_rows`` rows. How fast rows are forgotten is chosen
        on the training rows by the likelihood of one-step errors, before training.
    horizon : int, optional
        Steps that ``predict`` returns for a table of history; the last step of ``fh``
        in fit by default, else 1. The model learns one step ahead and feeds forecasts
        back.
    n_layers : int, default=1
        Depth of the dynamic part; 0 is the classical ridge VAR, without training.
    n_heads : int, default=4
        Rank-one matrices per lag and layer, and directions for tracking at most.
    d_model : int, default=32
        Width from which queries and values are projected.
    dropout : float, default=0.0
        Share of activations dropped in training.
    alpha : float or "auto", default="auto"
        Ridge penalty of the classical VAR with a fixed number of lags on standardised
        series, per row, times the square of the lag; 0 is ordinary least squares.
        "auto" takes the one with the largest marginal likelihood; automatic lags have
        several, chosen alike.
    trend : {"n", "c", "ct"}, default="c"
        Deterministic terms of the VAR: none, a constant, or a constant and a linear
        trend, which is 1 in the first row of ``y``. "n" and "ct" need ``lags`` as a
        number, as do ``seasonal`` and a number of ``covariate_lags``.
    seasonal : bool, default=False
        Whether the VAR has dummies for the rows of the season ``sp``. The first row's
        place in the season is in the constant, and has a dummy where there is none.
    covariate_lags : int or "auto", default="auto"
        How known covariates act: the columns of X that ``past_covariates`` does not
        name, and those of ``calendar``. "auto" takes their effect out before the VAR;
        which columns act on which series, and at which lags, is selected. A number q
        puts all of them into the VAR as they are, columns of X also with their last q
        rows, so that the first ones cannot be regressed or forecast:
        ``y_t = c + sum_l A_l y_{t-l} + B_0 x_t + ... + B_q x_{t-q} + u_t`` [3]_.
    learning_rate : float, default=0.01
        Peak of the one-cycle schedule of AdamW.
    max_epochs : int, default=20
        Epochs, at most. An epoch passes over all training windows, or where these are
        more over a new sample of 800,000 / n_series. Scores come from all held-out
        windows, or from about 200,000 / n_series, evenly spaced.
    batch_size : int or "auto", default="auto"
        Windows in a step. "auto" takes 64, and of more than 64 series as many as
        have 4096 series together.
    weight_decay : float, default=0.1
        Of AdamW; draws the matrices towards the classical VAR.
    early_stopping : bool, default=True
        Whether to hold out the last rows, keep the epoch that forecasts them best and
        stop when nothing improves, after three epochs where none did. With automatic
        lags and fewer than 1000 windows nothing is trained. The classical VAR alone is
        kept unless that epoch gains three standard errors on it (``best_epoch_`` is
        then 0). It is then solved anew on all rows.
    validation_fraction : float, default=0.15
        Share of the rows held out, the last ones.
    n_iter_no_change : int, default=6
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
        VAR matrices in original units averaged over all windows of the history;
        ``coef_[l - 1]`` is the matrix at lag l, rows respond, columns cause.
    intercept_ : ndarray of shape (n_series,)
        Averaged like ``coef_``.
    sigma_u_ : ndarray of shape (n_series, n_series)
        Covariance of the one-step errors on the history, in original units.
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
        Steps returned for a table of history.
    alpha_ : float or None
        The ridge penalty used; None for a VAR in error-correction form.
    loss_curve_ : list of float
        Mean training loss of each epoch, in standardised units.
    validation_scores_ : list of float
        Minus the mean squared error on the held-out rows, in standardised units,
        before training and after each epoch.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        The epoch whose weights are kept; 0 is before training.
    network_ : skvar.nn.LinearAttentionVAR
        The trained network; works on standardised series.
    scaler_ : StandardScaler
        Of the series, fitted on the rows that are not held out; the variance of a
        constant is 0, which is forecast by itself. After a fit to a panel, a dict with
        that of each instance. Matrices, intercepts and covariances, too, differ in
        units between instances: there they are attributes of ``instance(key)``.
    device_ : torch.device
        Where the network is.
    exog_coef_ : ndarray of shape (n_lags, n_targets, n_covariates)
        Effect of known covariates on the series of ``y`` in original units, that of the
        same row first, then of earlier rows; the columns are those of ``covariates_``.
        Of terms inside the VAR these are the coefficients B.
    covariates_ : DataFrame
        What acts: for each column, the rows of which act on each series of ``y``, as
        text such as "0, 3"; an empty one is left out. Columns of X come first, then
        deterministic terms and features of the calendar.
    feature_names_in_ : Index
        Names of the series, then of past covariates.
    n_features_in_ : int
        Number of series with past covariates.
    n_parameters_ : int
        Estimated numbers that the forecasts depend on.

    Notes
    -----
    The closed form holds a matrix of (lags * n_series) ** 2 numbers in float64. With
    ``n_layers=0`` everything is computed in float64 on the CPU.

    References
    ----------
    .. [1] Lu, J. and Yang, S. (2025). Linear Transformers as VAR Models: Aligning
       Autoregressive Attention Mechanisms with Autoregressive Forecasting. ICML.
       arXiv:2502.07244.
    .. [2] von Oswald, J. et al. (2023). Uncovering mesa-optimization algorithms in
       Transformers. arXiv:2309.05858.
    .. [3] Lütkepohl, H. (2005). New Introduction to Multiple Time Series Analysis,
       chapter 10. Springer.

    Examples
    --------
    >>> from sktime.datasets import load_longley
    >>> from skvar import LinearAttentionVAR
    >>> _, series = load_longley()
    >>> forecaster = LinearAttentionVAR(lags=1, n_layers=0).fit(series)
    >>> forecaster.predict(fh=[1, 2]).shape
    (2, 5)
    >>> forecaster.coef_.shape
    (1, 5, 5)
    """

    _specification = LinearAttentionVARSpecification

    def __init__(
        self,
        lags: int | Literal["auto"] = "auto",
        *,
        sp: int | list[int] | Literal["auto"] = "auto",
        tracking_rows: int = 0,
        horizon: int | None = None,
        n_layers: int = 1,
        n_heads: int = 4,
        d_model: int = 32,
        dropout: float = 0.0,
        alpha: float | Literal["auto"] = "auto",
        trend: Literal["n", "c", "ct"] = "c",
        seasonal: bool = False,
        covariate_lags: int | Literal["auto"] = "auto",
        learning_rate: float = 0.01,
        max_epochs: int = 20,
        batch_size: int | Literal["auto"] = "auto",
        weight_decay: float = 0.1,
        early_stopping: bool = True,
        validation_fraction: float = 0.15,
        n_iter_no_change: int = 6,
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
        self.tracking_rows = tracking_rows
        self.horizon = horizon
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.d_model = d_model
        self.dropout = dropout
        self.alpha = alpha
        self.trend = trend
        self.seasonal = seasonal
        self.covariate_lags = covariate_lags
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
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

    def test_dynamics(self, Y: Table | None = None) -> pd.DataFrame:
        """Test whether matrices that change forecast better than a static VAR.

        Compares one-step forecasts of rows that neither model has seen with those of
        the static VAR, the same forecaster with ``n_layers=0`` of the same rows.

        Parameters
        ----------
        Y : Series, DataFrame or array, optional
            Table that was not learned from, of at least ``lags_`` and 20 rows, in
            original units. By default the last rows of the history: a second model is
            trained on those before, the one that calibrates intervals.

        Returns
        -------
        DataFrame
            One row for each series and one, "all", for the mean of all. Columns:
            "response", "mse_static" and "mse_dynamic" (mean squared errors, with the
            standard deviations of the series as units), "statistic" and "p_value" of
            the one-sided test of Clark and West [1]_, with standard errors for
            autocorrelated errors [2]_. ``attrs["n_rows"]`` is the number of rows
            forecast.

        Raises
        ------
        ValueError
            If ``n_layers`` is 0, the rows are too few, or a series is called "all".

        Notes
        -----
        The hypothesis is that the true matrices do not change. It may be rejected where
        ``mse_dynamic`` is the larger one: the changes are real, but cost more to
        estimate than they gain. Where early stopping has left the dynamic part out, the
        forecasts are equal and the p-value is 1. That makes the test reject a true
        hypothesis more seldom than its p-value says.

        References
        ----------
        .. [1] Clark, T. and West, K. (2007). Approximately normal tests for equal
           predictive accuracy in nested models. Journal of Econometrics 138.
        .. [2] Newey, W. and West, K. (1987). A simple, positive semi-definite,
           heteroskedasticity and autocorrelation consistent covariance matrix.
           Econometrica 55.
        """
        return dynamics.test_dynamics(single_state(self), Y)

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
        return [
            {"lags": 2, "d_model": 4, "n_heads": 2, "max_epochs": 2, "random_state": 0},
            {"lags": 3, "n_layers": 0},
            {
                "lags": 1,
                "n_layers": 2,
                "d_model": 4,
                "max_epochs": 1,
                "early_stopping": False,
                "random_state": 0,
            },
        ]
