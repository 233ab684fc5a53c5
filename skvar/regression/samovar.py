"""The linear Transformer that stays a VAR, as a regressor."""

from typing import Literal

from .._models.families import SAMoVARSpecification
from .._typing import PathLike, Seed
from ._regressor import Regressor


class SAMoVARRegressor(Regressor):
    """Regression on past rows by a linear Transformer that stays a VAR.

    Without ``y`` it predicts the next row of ``X``, like `SAMoVARForecaster` with a
    horizon of one [1]_. With ``y``, a linear map of the network's forecast of ``X``
    adds to a ridge regression of ``y`` on the window.

    Parameters
    ----------
    lags : int, default=24
        Rows of ``X`` that a prediction sees, the current one included.
    token_length : int, optional
        Rows in a token; 1 by default, the horizon, as in the paper.
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
        their last row. "auto" takes the one that is closer to what follows. With ``y``
        always the token.
    predictor : {"linear_attention", "fixed_var"}, default="linear_attention"
        VAR matrices from the input, or fixed ones (the paper's "FixedVAR").
    static_path : {"auto", "ridge", "var", None}, default="auto"
        Without ``y``, as in `SAMoVARForecaster`. With ``y``, a ridge regression on the
        window stands beside the network whatever is given here.
    alpha : float or "auto", default="auto"
        Ridge penalty of the static path on standardised series, per window; that of a
        VAR is multiplied by the square of the lag. "auto" chooses it: for a VAR by the
        marginal likelihood, as always with ``y``, else on fifths of the rows left out
        in turn.
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
        stop when nothing improves. The static path is then solved anew on all rows.
        With too few rows to hold any out, the closed form is kept.
    retrain : bool, default=True
        Whether to train the network anew on all rows for ``best_epoch_`` epochs, after
        the held-out rows have done their service; only without ``y``.
    validation_fraction : float, default=0.15
        Share of the rows held out, the last ones.
    n_iter_no_change : int, default=4
        Epochs without improvement before training stops.
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
    coef_ : ndarray of shape (lags, n_targets, n_features)
        The exact local linear map of the prediction on the window, in original units,
        averaged over the windows seen in fit (1024 of them, evenly spaced, if there
        are more). ``coef_[l - 1]`` belongs to the l-th newest row of the window, rows
        respond, columns cause.
    intercept_ : ndarray of shape (n_targets,)
        Averaged like ``coef_``.
    alpha_ : float or None
        The penalty used; None without a static path.
    loss_curve_ : list of float
        Mean training loss of each epoch, in standardised units.
    validation_scores_ : list of float
        Minus the mean squared error on the held-out rows, in standardised units,
        before training and after each epoch.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        The epoch that forecast the held-out rows best; 0 is before training. With
        ``retrain`` the network is trained anew for so many, which the attributes above
        do not show.
    network_ : torch.nn.Module
        The trained network; works on standardised series.
    scaler_ : StandardScaler
        Of ``X``.
    y_scaler_ : StandardScaler or None
        Of ``y``.
    device_ : torch.device
        Where the network is.
    n_features_in_ : int
        Number of columns of ``X``.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Names of the columns of ``X``, if it has any.

    See Also
    --------
    SAMoVARForecaster : The same model in sktime's protocol.

    References
    ----------
    .. [1] Lu, J. and Yang, S. (2025). Linear Transformers as VAR Models: Aligning
       Autoregressive Attention Mechanisms with Autoregressive Forecasting. ICML.
       arXiv:2502.07244.

    Examples
    --------
    >>> from sktime.datasets import load_longley
    >>> from skvar import SAMoVARRegressor
    >>> y, X = load_longley()
    >>> regressor = SAMoVARRegressor(lags=4, random_state=0).fit(X, y)
    >>> regressor.predict(X).shape
    (16,)
    """

    _specification = SAMoVARSpecification

    def __init__(
        self,
        lags: int = 24,
        *,
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
        warm_start: bool = False,
        device: str = "auto",
        random_state: Seed = None,
        verbose: int = 0,
        on_interrupt: Literal["raise", "keep_best"] = "raise",
        checkpoint: PathLike | None = None,
    ):
        self.lags = lags
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
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.on_interrupt = on_interrupt
        self.checkpoint = checkpoint
