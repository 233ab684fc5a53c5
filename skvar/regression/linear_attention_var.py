"""Linear attention on the rows: a regression whose matrices follow the input."""

from typing import Literal

from .._models.families import LinearAttentionVARSpecification
from .._typing import PathLike, Seed
from ._regressor import Regressor


class LinearAttentionVARRegressor(Regressor):
    """Regression on past rows by a VAR whose matrices are computed from the window.

    A classical ridge regression on the last ``lags`` rows, solved in closed form, plus
    a dynamic part by linear attention on these rows [1]_. Without ``y`` it predicts the
    next row of ``X``: a VAR.

    Parameters
    ----------
    lags : int, default=4
        Order p: rows of ``X`` that a prediction sees, the current one included.
    tracking_rows : int, default=0
        Rows before these from which the matrices are tracked: the errors of the
        classical VAR on them tell how the matrices have drifted or switched [2]_. A few
        hundred follow a slow drift; 0 leaves tracking out, as does ``n_layers=0``. A
        window has ``lags + tracking_rows`` rows.
    n_layers : int, default=1
        Depth of the dynamic part; 0 is the classical ridge VAR, without training.
    n_heads : int, default=4
        Rank-one matrices per lag and layer, and directions for tracking at most.
    d_model : int, default=32
        Width from which queries and values are projected.
    dropout : float, default=0.0
        Share of activations dropped in training.
    alpha : float or "auto", default="auto"
        Ridge penalty of the classical VAR on standardised series, per row, times the
        square of the lag; 0 is ordinary least squares. "auto" takes the one with the
        largest marginal likelihood.
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
        stop when nothing improves. The classical VAR alone is kept unless that epoch
        gains three standard errors on it (``best_epoch_`` is then 0). It is then
        solved anew on all rows.
        With too few rows to hold any out, the classical VAR is kept.
    validation_fraction : float, default=0.15
        Share of the rows held out, the last ones.
    n_iter_no_change : int, default=6
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
        Matrices in original units averaged over all windows seen in fit;
        ``coef_[l - 1]`` belongs to the l-th newest row of the window, rows respond,
        columns cause.
    intercept_ : ndarray of shape (n_targets,)
        Averaged like ``coef_``.
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
    LinearAttentionVAR : The same model in sktime's protocol.

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
    >>> from skvar import LinearAttentionVARRegressor
    >>> y, X = load_longley()
    >>> regressor = LinearAttentionVARRegressor(lags=2, n_layers=0).fit(X, y)
    >>> regressor.predict(X).shape
    (16,)
    >>> regressor.fit(X).forecast(X, steps=3).shape
    (3, 5)
    """

    _specification = LinearAttentionVARSpecification

    def __init__(
        self,
        lags: int = 4,
        *,
        tracking_rows: int = 0,
        n_layers: int = 1,
        n_heads: int = 4,
        d_model: int = 32,
        dropout: float = 0.0,
        alpha: float | Literal["auto"] = "auto",
        learning_rate: float = 0.01,
        max_epochs: int = 20,
        batch_size: int | Literal["auto"] = "auto",
        weight_decay: float = 0.1,
        early_stopping: bool = True,
        validation_fraction: float = 0.15,
        n_iter_no_change: int = 6,
        warm_start: bool = False,
        device: str = "auto",
        random_state: Seed = None,
        verbose: int = 0,
        on_interrupt: Literal["raise", "keep_best"] = "raise",
        checkpoint: PathLike | None = None,
    ):
        self.lags = lags
        self.tracking_rows = tracking_rows
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
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.on_interrupt = on_interrupt
        self.checkpoint = checkpoint
