"""The public forecasters."""

from ._forecaster import WindowForecaster
from ._inspection import TokenInspection, VARInspection
from ._recipes import (
    AarenModel,
    InformerModel,
    ITransformerModel,
    LinearAttentionVARModel,
    LinearTransformerModel,
    SAMoVARModel,
)


class LinearAttentionVAR(LinearAttentionVARModel, VARInspection, WindowForecaster):
    """Vector autoregression whose matrices are computed from the window.

    A classical ridge VAR(p), solved in closed form, plus a dynamic part by linear
    attention on the observed series themselves: each past value and the present query
    add a rank-one matrix between the series [1]_. Before the first epoch the model is
    the classical VAR, so that early stopping keeps it where nothing is gained.

    Parameters
    ----------
    lags : int, default=4
        Order p of the VAR.
    memory : int, default=0
        Rows before these from which the matrices are tracked: the errors of the
        classical VAR on them tell how the matrices have drifted or switched [2]_. A few
        hundred follow a slow drift; 0 leaves tracking out, as does ``n_layers=0``. A
        window has ``lags + memory`` rows.
    horizon : int, optional
        Steps that ``predict`` returns for a table of history; the last step of ``fh``
        in fit by default, else 1. The model learns one step ahead and feeds forecasts
        back.
    n_layers : int, default=1
        Depth of the dynamic part; 0 is the classical ridge VAR, without training.
    n_heads : int, default=4
        Rank-one matrices per lag and layer, and directions that the memory learns.
    d_model : int, default=32
        Width from which queries and values are projected.
    dropout : float, default=0.0
        Share of activations dropped in training.
    alpha : float or "auto", default="auto"
        Ridge penalty of the classical VAR on standardised series, per row, times the
        square of the lag; 0 is ordinary least squares. "auto" takes the one with the
        least information criterion of Schwarz.
    learning_rate : float, default=0.01
        Peak of the one-cycle schedule of AdamW.
    max_epochs : int, default=20
        Passes over the training windows, at most.
    batch_size : int, default=64
        Windows in a step.
    weight_decay : float, default=0.1
        Of AdamW; draws the matrices towards the classical VAR.
    early_stopping : bool, default=True
        Whether to hold out the last rows, keep the epoch that forecasts them best and
        stop when nothing improves. The classical VAR alone is kept unless that epoch
        gains three standard errors on it (``best_epoch_`` is then 0). It is then
        solved anew on all rows.
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

    Attributes
    ----------
    coef_ : ndarray of shape (lags, n_series, n_series)
        VAR matrices in original units averaged over all windows of the history;
        ``coef_[l - 1]`` is the matrix at lag l, rows respond, columns cause.
    intercept_ : ndarray of shape (n_series,)
        Averaged like ``coef_``.
    sigma_u_ : ndarray of shape (n_series, n_series)
        Covariance of the one-step errors on the history, in original units.
    horizon_ : int
        Steps returned for a table of history.
    alpha_ : float
        The penalty used.
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
        Of the series, fitted on all rows; after a fit to a panel, a dict with that of
        each instance. Matrices, intercepts and covariances, too, differ in units
        between instances: there they are attributes of ``instance(key)``.
    device_ : torch.device
        Where the network is.
    exog_coef_ : ndarray of shape (n_lags, n_targets, n_covariates)
        Effect of known covariates on the series of ``y`` in original units, that of the
        same row first, then of earlier rows; columns of X first, then features of the
        calendar, sines and cosines each one by one.
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

    def __init__(
        self,
        lags=4,
        *,
        memory=0,
        horizon=None,
        n_layers=1,
        n_heads=4,
        d_model=32,
        dropout=0.0,
        alpha="auto",
        learning_rate=0.01,
        max_epochs=20,
        batch_size=64,
        weight_decay=0.1,
        early_stopping=True,
        validation_fraction=0.15,
        n_iter_no_change=6,
        past_covariates=None,
        calendar=None,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.lags = lags
        self.memory = memory
        self.horizon = horizon
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.d_model = d_model
        self.dropout = dropout
        self.alpha = alpha
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
        super().__init__()

    @classmethod
    def get_test_params(cls, parameter_set="default"):
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


class SAMoVARForecaster(SAMoVARModel, TokenInspection, VARInspection, WindowForecaster):
    """Structural aligned mixture of VARs: a linear Transformer that stays a VAR.

    Tokens are segments of the series; the layers of linear attention are arranged so
    that the whole stack is one vector autoregression on the tokens [1]_. With
    ``static_path="ridge"`` the forecast is a mix of this network with a closed-form
    direct ridge from window to horizon, shared by all series after centring.

    Parameters
    ----------
    lags : int, default=24
        Rows of history that the model sees.
    horizon : int, optional
        Steps forecast in one pass and learned; the last step of ``fh`` in fit by
        default, else 1. Later steps come from feeding forecasts back.
    token_length : int, optional
        Rows in a token; the horizon by default, as in the paper, or a fourth of the
        lags if that is less.
    n_layers : int, default=1
        Depth; 0 leaves the static path alone, without training.
    n_heads : int, default=4
        Heads; a divisor of ``d_model``.
    d_model : int, default=32
        Width.
    dropout : float, default=0.1
        Share of activations dropped in training.
    scaled : bool, default=True
        Whether token t divides its sum over the past by ``d_model / n_heads *
        sqrt(t)``, which keeps layers and long windows at one scale; the paper does not.
    centre : {"auto", "token", "last"}, default="auto"
        What windows are centred on: the mean of their last token, as in the paper, or
        their last row. "auto" takes the one that is closer to what follows.
    predictor : {"linear_attention", "fixed_var"}, default="linear_attention"
        VAR matrices from the input, or fixed ones (the paper's "FixedVAR").
    static_path : {"auto", "ridge", "var", None}, default="auto"
        Closed form beside the network: a direct ridge from window to horizon, one for
        all series on windows minus their last row; a ridge VAR of at most 4 lags; the
        one of them with the least error on fifths of the rows left out in turn; or
        None, the paper. It is mixed in with the share that forecasts the held-out rows
        best, the network's shrunk to what is sure (one half with
        ``early_stopping=False``).
    alpha : float or "auto", default="auto"
        Ridge penalty of the static path on standardised series, per window; that of a
        VAR is multiplied by the square of the lag. "auto" chooses it: for a VAR by the
        information criterion of Schwarz, else on fifths of the rows left out in turn.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW.
    max_epochs : int, optional
        Passes over the training windows, at most; by default as many as make 300
        steps, but at least 2 and at most 20.
    batch_size : int, default=32
        Windows in a step.
    weight_decay : float, default=0.1
        Of AdamW.
    early_stopping : bool, default=True
        Whether to hold out the last rows, keep the epoch that forecasts them best and
        stop when nothing improves. The static path is then solved anew on all rows.
    refit : bool, default=True
        Whether to train the network anew on all rows for ``best_epoch_`` epochs, after
        the held-out rows have done their service.
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
    horizon_ : int
        Steps forecast in one pass.
    alpha_ : float or None
        The penalty used; None without a static path.
    loss_curve_ : list of float
        Mean training loss of each epoch: next-token plus forecast error.
    validation_scores_ : list of float
        Minus the mean squared error of the network without the static path on the
        held-out rows, in standardised units, before training and after each epoch.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        The epoch that forecast the held-out rows best; 0 is before training. With
        ``refit`` the network is trained anew for so many, which the attributes above
        do not show.
    network_ : torch.nn.Module
        A ``skvar.nn.SAMoVAR``, or a ``skvar.nn.StaticPath`` around one.
    scaler_ : StandardScaler
        Of the series, fitted on all rows; after a fit to a panel, a dict with that of
        each instance. Matrices, intercepts and covariances, too, differ in units
        between instances: there they are attributes of ``instance(key)``.
    device_ : torch.device
        Where the network is.
    exog_coef_ : ndarray of shape (n_lags, n_targets, n_covariates)
        Effect of known covariates on the series of ``y`` in original units, that of the
        same row first, then of earlier rows; columns of X first, then features of the
        calendar, sines and cosines each one by one.
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

    def __init__(
        self,
        lags=24,
        *,
        horizon=None,
        token_length=None,
        n_layers=1,
        n_heads=4,
        d_model=32,
        dropout=0.1,
        scaled=True,
        centre="auto",
        predictor="linear_attention",
        static_path="auto",
        alpha="auto",
        learning_rate=3e-3,
        max_epochs=None,
        batch_size=32,
        weight_decay=0.1,
        early_stopping=True,
        refit=True,
        validation_fraction=0.15,
        n_iter_no_change=4,
        past_covariates=None,
        calendar=None,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.lags = lags
        self.horizon = horizon
        self.token_length = token_length
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.d_model = d_model
        self.dropout = dropout
        self.scaled = scaled
        self.centre = centre
        self.predictor = predictor
        self.static_path = static_path
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.refit = refit
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.past_covariates = past_covariates
        self.calendar = calendar
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        super().__init__()

    @classmethod
    def get_test_params(cls, parameter_set="default"):
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
                "horizon": 3,
                "token_length": 2,
                "static_path": None,
                "early_stopping": False,
            },
            {"lags": 3, "n_layers": 0},
        ]


class AarenForecaster(AarenModel, VARInspection, WindowForecaster):
    """Attention as a recurrent neural network: all of the past in a constant state.

    Softmax attention with a learned query is trained in parallel, as a Transformer, and
    updated with each new observation in constant time and memory, as a recurrent
    network [1]_. Forecasts are those of a mix with a regression in closed form, as in
    `SAMoVARForecaster`.

    Parameters
    ----------
    lags : int, default=24
        Rows of the windows that the model is trained, stopped and weighed on. Forecasts
        see all rows of the history, but it learns to forget from a time scale of a
        third of the lags; the static path sees ``lags`` rows.
    horizon : int, optional
        Steps forecast in one pass and learned; the last step of ``fh`` in fit by
        default, else 1. Later steps come from feeding forecasts back.
    token_length : int, optional
        Rows in a token; 24 by default, or a fourth of the lags if that is less. Best is
        the length of a season.
    n_layers : int, default=2
        Depth; 0 leaves the static path alone, without training.
    n_heads : int, default=4
        Heads; a divisor of ``d_model``.
    d_model : int, default=32
        Width.
    dropout : float, default=0.2
        Share of activations dropped in training.
    static_path : {"auto", "ridge", "var", None}, default="auto"
        Closed form beside the network: a direct ridge from window to horizon, one for
        all series on windows minus their last row; a ridge VAR of at most 4 lags; the
        one of them with the least error on fifths of the rows left out in turn; or
        None. It is mixed in with the share that forecasts the held-out rows best, the
        network's shrunk to what is sure (one half with ``early_stopping=False``).
    alpha : float or "auto", default="auto"
        Ridge penalty of the static path on standardised series, per window; that of a
        VAR is multiplied by the square of the lag. "auto" chooses it: for a VAR by the
        information criterion of Schwarz, else on fifths of the rows left out in turn.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW.
    max_epochs : int, optional
        Passes over the training windows, at most; by default as many as make 300
        steps, but at least 2 and at most 20.
    batch_size : int, default=32
        Windows in a step.
    weight_decay : float, default=0.1
        Of AdamW.
    early_stopping : bool, default=True
        Whether to hold out the last rows, keep the epoch that forecasts them best and
        stop when nothing improves. The static path is then solved anew on all rows.
    refit : bool, default=True
        Whether to train the network anew on all rows for ``best_epoch_`` epochs, after
        the held-out rows have done their service.
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

    Attributes
    ----------
    coef_ : ndarray of shape (lags, n_series, n_series)
        The exact local linear map of the first forecast step on a history of ``lags``
        rows, in original units, averaged over the windows of the history (1024 of them,
        evenly spaced, if there are more); computed at first use. ``coef_[l - 1]`` is
        the matrix at lag l, rows respond, columns cause.
    intercept_ : ndarray of shape (n_series,)
        The remainder of the first step, averaged like ``coef_``.
    sigma_u_ : ndarray of shape (n_series, n_series)
        Covariance of the one-step errors on these windows, in original units.
    horizon_ : int
        Steps forecast in one pass.
    alpha_ : float or None
        The penalty used; None without a static path.
    loss_curve_ : list of float
        Mean training loss of each epoch: that of the forecasts after a window plus that
        of the forecasts within it.
    validation_scores_ : list of float
        Minus the mean squared error of the network without the static path on the
        held-out rows, in standardised units, before training and after each epoch.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        The epoch that forecast the held-out rows best; 0 is before training. With
        ``refit`` the network is trained anew for so many, which the attributes above
        do not show.
    network_ : torch.nn.Module
        A ``skvar.nn.AarenForForecasting``, or a ``skvar.nn.StaticPath`` around one.
    scaler_ : StandardScaler
        Of the series, fitted on all rows; after a fit to a panel, a dict with that of
        each instance. Matrices, intercepts and covariances, too, differ in units
        between instances: there they are attributes of ``instance(key)``.
    device_ : torch.device
        Where the network is.
    exog_coef_ : ndarray of shape (n_lags, n_targets, n_covariates)
        Effect of known covariates on the series of ``y`` in original units, that of the
        same row first, then of earlier rows; columns of X first, then features of the
        calendar, sines and cosines each one by one.
    feature_names_in_ : Index
        Names of the series, then of past covariates.
    n_features_in_ : int
        Number of series with past covariates.
    n_parameters_ : int
        Estimated numbers that the forecasts depend on.

    References
    ----------
    .. [1] Feng, L. et al. (2024). Attention as an RNN. arXiv:2405.13956.

    Examples
    --------
    >>> from sktime.datasets import load_macroeconomic
    >>> from skvar import AarenForecaster
    >>> growth = load_macroeconomic()[["realgdp", "realcons"]].pct_change().iloc[1:]
    >>> forecaster = AarenForecaster(lags=8, max_epochs=2, random_state=0)
    >>> stream = forecaster.fit(growth[:-1], fh=[1, 2, 3, 4]).stream()
    >>> stream.push(growth.iloc[-1]).shape
    (4, 2)
    """

    def __init__(
        self,
        lags=24,
        *,
        horizon=None,
        token_length=None,
        n_layers=2,
        n_heads=4,
        d_model=32,
        dropout=0.2,
        static_path="auto",
        alpha="auto",
        learning_rate=3e-3,
        max_epochs=None,
        batch_size=32,
        weight_decay=0.1,
        early_stopping=True,
        refit=True,
        validation_fraction=0.15,
        n_iter_no_change=4,
        past_covariates=None,
        calendar=None,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.lags = lags
        self.horizon = horizon
        self.token_length = token_length
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.d_model = d_model
        self.dropout = dropout
        self.static_path = static_path
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.refit = refit
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.past_covariates = past_covariates
        self.calendar = calendar
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        super().__init__()

    @classmethod
    def get_test_params(cls, parameter_set="default"):
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
                "max_epochs": 1,
                "horizon": 3,
                "token_length": 3,
                "static_path": None,
                "early_stopping": False,
            },
            {"lags": 3, "n_layers": 0},
        ]


class LinearTransformerForecaster(
    LinearTransformerModel, VARInspection, WindowForecaster
):
    """Linear Transformer on segments of the series, misaligned: a baseline.

    The usual stack of linear attention and feed-forward blocks on the tokens of SAMoVAR
    [1]_. Its layers mix what they attend to, so that it is no vector autoregression on
    the tokens; how much that costs, `SAMoVARForecaster` shows.

    Parameters
    ----------
    lags : int, default=24
        Rows of history that the model sees.
    horizon : int, optional
        Steps forecast in one pass and learned; the last step of ``fh`` in fit by
        default, else 1. Later steps come from feeding forecasts back.
    token_length : int, optional
        Rows in a token; the horizon by default, or a fourth of the lags if that is
        less.
    n_layers : int, default=1
        Depth; 0 leaves the static path alone, without training, if there is one.
    n_heads : int, default=4
        Heads; a divisor of ``d_model``.
    d_model : int, default=32
        Width.
    dropout : float, default=0.1
        Share of activations dropped in training.
    static_path : {"auto", "ridge", "var", None}, default=None
        Closed form beside the network: None, as published; a direct ridge from window
        to horizon, one for all series on windows minus their last row; a ridge VAR of
        at most 4 lags; or the one of them with the least error on fifths of the rows
        left out in turn. It is mixed in with the share that forecasts the held-out rows
        best, the network's shrunk to what is sure (one half with
        ``early_stopping=False``).
    alpha : float or "auto", default="auto"
        Ridge penalty of the static path on standardised series, per window; that of a
        VAR is multiplied by the square of the lag. "auto" chooses it: for a VAR by the
        information criterion of Schwarz, else on fifths of the rows left out in turn.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW.
    max_epochs : int, optional
        Passes over the training windows, at most; by default as many as make 300
        steps, but at least 2 and at most 20.
    batch_size : int, default=32
        Windows in a step.
    weight_decay : float, default=0.1
        Of AdamW.
    early_stopping : bool, default=True
        Whether to hold out the last rows, keep the epoch that forecasts them best and
        stop when nothing improves. The static path is then solved anew on all rows.
    refit : bool, default=True
        Whether to train the network anew on all rows for ``best_epoch_`` epochs, after
        the held-out rows have done their service.
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
    horizon_ : int
        Steps forecast in one pass.
    alpha_ : float or None
        The penalty used; None without a static path.
    loss_curve_ : list of float
        Mean training loss of each epoch: next-token plus forecast error.
    validation_scores_ : list of float
        Minus the mean squared error of the network without the static path on the
        held-out rows, in standardised units, before training and after each epoch.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        The epoch that forecast the held-out rows best; 0 is before training. With
        ``refit`` the network is trained anew for so many, which the attributes above
        do not show.
    network_ : torch.nn.Module
        A ``skvar.nn.LinearTransformer``, or a ``skvar.nn.StaticPath`` around one.
    scaler_ : StandardScaler
        Of the series, fitted on all rows; after a fit to a panel, a dict with that of
        each instance. Matrices, intercepts and covariances, too, differ in units
        between instances: there they are attributes of ``instance(key)``.
    device_ : torch.device
        Where the network is.
    exog_coef_ : ndarray of shape (n_lags, n_targets, n_covariates)
        Effect of known covariates on the series of ``y`` in original units, that of the
        same row first, then of earlier rows; columns of X first, then features of the
        calendar, sines and cosines each one by one.
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
    >>> from skvar import LinearTransformerForecaster
    >>> growth = load_macroeconomic()[["realgdp", "realcons"]].pct_change().iloc[1:]
    >>> forecaster = LinearTransformerForecaster(lags=8, max_epochs=2, random_state=0)
    >>> forecaster.fit(growth, fh=[1, 2, 3, 4]).predict().shape
    (4, 2)
    """

    def __init__(
        self,
        lags=24,
        *,
        horizon=None,
        token_length=None,
        n_layers=1,
        n_heads=4,
        d_model=32,
        dropout=0.1,
        static_path=None,
        alpha="auto",
        learning_rate=3e-3,
        max_epochs=None,
        batch_size=32,
        weight_decay=0.1,
        early_stopping=True,
        refit=True,
        validation_fraction=0.15,
        n_iter_no_change=4,
        past_covariates=None,
        calendar=None,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.lags = lags
        self.horizon = horizon
        self.token_length = token_length
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.d_model = d_model
        self.dropout = dropout
        self.static_path = static_path
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.refit = refit
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.past_covariates = past_covariates
        self.calendar = calendar
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        super().__init__()

    @classmethod
    def get_test_params(cls, parameter_set="default"):
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
            {**small, "n_layers": 1, "max_epochs": 2, "static_path": "auto"},
            {
                **small,
                "n_layers": 2,
                "max_epochs": 1,
                "horizon": 3,
                "token_length": 2,
                "early_stopping": False,
            },
            {"lags": 3, "n_layers": 0, "static_path": "auto"},
        ]


class ITransformerForecaster(ITransformerModel, VARInspection, WindowForecaster):
    """Inverted Transformer: attention between the series instead of between times.

    The window of each series is one token; full attention mixes the series [1]_.

    Parameters
    ----------
    lags : int, default=24
        Rows of history that the model sees.
    horizon : int, optional
        Steps forecast in one pass and learned; the last step of ``fh`` in fit by
        default, else 1. Later steps come from feeding forecasts back.
    n_layers : int, default=2
        Depth; 0 leaves the static path alone, without training, if there is one.
    n_heads : int, default=4
        Heads; a divisor of ``d_model``.
    d_model : int, default=32
        Width.
    d_ff : int, optional
        Width inside the feed-forward blocks; ``4 * d_model`` by default.
    dropout : float, default=0.1
        Share of activations dropped in training.
    static_path : {"auto", "ridge", "var", None}, default=None
        Closed form beside the network: None, as published; a direct ridge from window
        to horizon, one for all series on windows minus their last row; a ridge VAR of
        at most 4 lags; or the one of them with the least error on fifths of the rows
        left out in turn. It is mixed in with the share that forecasts the held-out rows
        best, the network's shrunk to what is sure (one half with
        ``early_stopping=False``).
    alpha : float or "auto", default="auto"
        Ridge penalty of the static path on standardised series, per window; that of a
        VAR is multiplied by the square of the lag. "auto" chooses it: for a VAR by the
        information criterion of Schwarz, else on fifths of the rows left out in turn.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW.
    max_epochs : int, optional
        Passes over the training windows, at most; by default as many as make 300
        steps, but at least 2 and at most 20.
    batch_size : int, default=32
        Windows in a step.
    weight_decay : float, default=0.1
        Of AdamW.
    early_stopping : bool, default=True
        Whether to hold out the last rows, keep the epoch that forecasts them best and
        stop when nothing improves. The static path is then solved anew on all rows.
    refit : bool, default=True
        Whether to train the network anew on all rows for ``best_epoch_`` epochs, after
        the held-out rows have done their service.
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
    horizon_ : int
        Steps forecast in one pass.
    alpha_ : float or None
        The penalty used; None without a static path.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_scores_ : list of float
        Minus the mean squared error of the network without the static path on the
        held-out rows, in standardised units, before training and after each epoch.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        The epoch that forecast the held-out rows best; 0 is before training. With
        ``refit`` the network is trained anew for so many, which the attributes above
        do not show.
    network_ : torch.nn.Module
        A ``skvar.nn.ITransformer``, or a ``skvar.nn.StaticPath`` around one.
    scaler_ : StandardScaler
        Of the series, fitted on all rows; after a fit to a panel, a dict with that of
        each instance. Matrices, intercepts and covariances, too, differ in units
        between instances: there they are attributes of ``instance(key)``.
    device_ : torch.device
        Where the network is.
    exog_coef_ : ndarray of shape (n_lags, n_targets, n_covariates)
        Effect of known covariates on the series of ``y`` in original units, that of the
        same row first, then of earlier rows; columns of X first, then features of the
        calendar, sines and cosines each one by one.
    feature_names_in_ : Index
        Names of the series, then of past covariates.
    n_features_in_ : int
        Number of series with past covariates.
    n_parameters_ : int
        Estimated numbers that the forecasts depend on.

    References
    ----------
    .. [1] Liu, Y. et al. (2024). iTransformer: Inverted Transformers Are Effective for
       Time Series Forecasting. ICLR. arXiv:2310.06625.

    Examples
    --------
    >>> from sktime.datasets import load_macroeconomic
    >>> from skvar import ITransformerForecaster
    >>> growth = load_macroeconomic()[["realgdp", "realcons"]].pct_change().iloc[1:]
    >>> forecaster = ITransformerForecaster(lags=8, max_epochs=2, random_state=0)
    >>> forecaster.fit(growth, fh=[1, 2, 3, 4]).predict().shape
    (4, 2)
    """

    def __init__(
        self,
        lags=24,
        *,
        horizon=None,
        n_layers=2,
        n_heads=4,
        d_model=32,
        d_ff=None,
        dropout=0.1,
        static_path=None,
        alpha="auto",
        learning_rate=3e-3,
        max_epochs=None,
        batch_size=32,
        weight_decay=0.1,
        early_stopping=True,
        refit=True,
        validation_fraction=0.15,
        n_iter_no_change=4,
        past_covariates=None,
        calendar=None,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.lags = lags
        self.horizon = horizon
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.d_model = d_model
        self.d_ff = d_ff
        self.dropout = dropout
        self.static_path = static_path
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.refit = refit
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.past_covariates = past_covariates
        self.calendar = calendar
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        super().__init__()

    @classmethod
    def get_test_params(cls, parameter_set="default"):
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
            {**small, "n_layers": 1, "max_epochs": 2, "static_path": "auto"},
            {
                **small,
                "n_layers": 2,
                "max_epochs": 1,
                "horizon": 3,
                "d_ff": 6,
                "early_stopping": False,
            },
            {"lags": 3, "n_layers": 0, "static_path": "auto"},
        ]


class InformerForecaster(InformerModel, VARInspection, WindowForecaster):
    """Informer: sparse attention, a distilling encoder and a decoder of start tokens.

    Only those queries attend whose weights are furthest from equal, as judged by a
    sample of the keys; the others get the mean of the values, or among the decoder's
    tokens their sum so far. The encoder halves the sequence between its layers, and the
    decoder, one layer deep, forecasts all steps at once, after the last rows of the
    window [1]_. Details are those of the Time-Series-Library, without time features;
    `skvar.nn.Informer` says where they differ from the authors' code.

    Parameters
    ----------
    lags : int, default=24
        Rows of history that the model sees; at least 2 where there are layers.
    horizon : int, optional
        Steps forecast in one pass and learned; the last step of ``fh`` in fit by
        default, else 1. Later steps come from feeding forecasts back.
    label_len : int, optional
        Rows of the window that the decoder begins with, ``lags`` at most; half of them
        by default.
    factor : int, default=5
        Keys sampled, and queries that attend, for each unit of the natural logarithm of
        their number, rounded up. With 5, up to 15 tokens attend in full.
    n_layers : int, default=2
        Depth of the encoder; 0 leaves the static path alone, without training, if there
        is one.
    n_heads : int, default=4
        Heads; a divisor of ``d_model``.
    d_model : int, default=32
        Width.
    d_ff : int, optional
        Width inside the feed-forward blocks; ``4 * d_model`` by default.
    dropout : float, default=0.1
        Share of activations dropped in training.
    static_path : {"auto", "ridge", "var", None}, default=None
        Closed form beside the network: None, as published; a direct ridge from window
        to horizon, one for all series on windows minus their last row; a ridge VAR of
        at most 4 lags; or the one of them with the least error on fifths of the rows
        left out in turn. It is mixed in with the share that forecasts the held-out rows
        best, the network's shrunk to what is sure (one half with
        ``early_stopping=False``).
    alpha : float or "auto", default="auto"
        Ridge penalty of the static path on standardised series, per window; that of a
        VAR is multiplied by the square of the lag. "auto" chooses it: for a VAR by the
        information criterion of Schwarz, else on fifths of the rows left out in turn.
    learning_rate : float, default=1e-3
        Peak of the one-cycle schedule of AdamW.
    max_epochs : int, optional
        Passes over the training windows, at most; by default as many as make 300
        steps, but at least 2 and at most 20.
    batch_size : int, default=32
        Windows in a step.
    weight_decay : float, default=0.1
        Of AdamW.
    early_stopping : bool, default=True
        Whether to hold out the last rows, keep the epoch that forecasts them best and
        stop when nothing improves. The static path is then solved anew on all rows.
    refit : bool, default=True
        Whether to train the network anew on all rows for ``best_epoch_`` epochs, after
        the held-out rows have done their service.
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
        Seed of initial weights, batches, dropout and sampled keys.
    verbose : int, default=0
        Whether to show a progress bar.

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
    horizon_ : int
        Steps forecast in one pass.
    alpha_ : float or None
        The penalty used; None without a static path.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_scores_ : list of float
        Minus the mean squared error of the network without the static path on the
        held-out rows, in standardised units, before training and after each epoch.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        The epoch that forecast the held-out rows best; 0 is before training. With
        ``refit`` the network is trained anew for so many, which the attributes above
        do not show.
    network_ : torch.nn.Module
        A ``skvar.nn.Informer``, or a ``skvar.nn.StaticPath`` around one.
    scaler_ : StandardScaler
        Of the series, fitted on all rows; after a fit to a panel, a dict with that of
        each instance. Matrices, intercepts and covariances, too, differ in units
        between instances: there they are attributes of ``instance(key)``.
    device_ : torch.device
        Where the network is.
    exog_coef_ : ndarray of shape (n_lags, n_targets, n_covariates)
        Effect of known covariates on the series of ``y`` in original units, that of the
        same row first, then of earlier rows; columns of X first, then features of the
        calendar, sines and cosines each one by one.
    feature_names_in_ : Index
        Names of the series, then of past covariates.
    n_features_in_ : int
        Number of series with past covariates.
    n_parameters_ : int
        Estimated numbers that the forecasts depend on.

    References
    ----------
    .. [1] Zhou, H. et al. (2021). Informer: Beyond Efficient Transformer for Long
       Sequence Time-Series Forecasting. AAAI. arXiv:2012.07436.

    Examples
    --------
    >>> from sktime.datasets import load_macroeconomic
    >>> from skvar import InformerForecaster
    >>> growth = load_macroeconomic()[["realgdp", "realcons"]].pct_change().iloc[1:]
    >>> forecaster = InformerForecaster(lags=8, max_epochs=2, random_state=0)
    >>> forecaster.fit(growth, fh=[1, 2, 3, 4]).predict().shape
    (4, 2)
    """

    def __init__(
        self,
        lags=24,
        *,
        horizon=None,
        label_len=None,
        factor=5,
        n_layers=2,
        n_heads=4,
        d_model=32,
        d_ff=None,
        dropout=0.1,
        static_path=None,
        alpha="auto",
        learning_rate=1e-3,
        max_epochs=None,
        batch_size=32,
        weight_decay=0.1,
        early_stopping=True,
        refit=True,
        validation_fraction=0.15,
        n_iter_no_change=4,
        past_covariates=None,
        calendar=None,
        warm_start=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.lags = lags
        self.horizon = horizon
        self.label_len = label_len
        self.factor = factor
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.d_model = d_model
        self.d_ff = d_ff
        self.dropout = dropout
        self.static_path = static_path
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.refit = refit
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.past_covariates = past_covariates
        self.calendar = calendar
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        super().__init__()

    @classmethod
    def get_test_params(cls, parameter_set="default"):
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
            {**small, "n_layers": 1, "max_epochs": 2, "static_path": "auto"},
            {
                **small,
                "n_layers": 2,
                "max_epochs": 1,
                "horizon": 3,
                "label_len": 1,
                "factor": 1,
                "early_stopping": False,
            },
            {"lags": 3, "n_layers": 0, "static_path": "auto"},
        ]
