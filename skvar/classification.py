"""The public classifier."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags
from sktime.classification.base import BaseClassifier

from ._data.tables import check_sizes
from ._models.classification import (
    AarenClassifierSpecification,
    FittedClassifier,
    estimate_classifier,
)
from ._models.stream import Stream
from ._protocols.fitted import NetworkEstimator, fitted_attribute
from ._protocols.sharing import copy_of, reading, replacement, writing
from ._protocols.sktime import SktimeEstimator
from ._training.randomness import draw_seed
from ._typing import PathLike, Seed

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AarenClassifier"]


class AarenClassifier(NetworkEstimator, SktimeEstimator, BaseClassifier):
    """Classification of time series by attention as a recurrent neural network.

    Softmax attention with a learned query is trained in parallel, as a Transformer, and
    updated with each new observation in constant time and memory, as a recurrent
    network [1]_. Classes are learned from every beginning of a series as well as from
    the whole, so that there are probabilities after each row: `rolling_predict_proba`
    for a panel, `stream` for one series as it comes in.

    Parameters
    ----------
    token_length : int, default=8
        Rows in a token; one token ends at each row.
    n_layers : int, default=2
        Depth.
    n_heads : int, default=4
        Heads; a divisor of ``d_model``.
    d_model : int, default=32
        Width.
    dropout : float, default=0.2
        Share of activations dropped in training.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW.
    max_epochs : int, optional
        Passes over the training series, at most; by default as many as make 500 steps,
        but at least 2.
    batch_size : int, default=32
        Series in a step.
    weight_decay : float, default=0.1
        Of AdamW.
    early_stopping : bool, default=False
        Whether to hold out series of every class, keep the epoch that classifies them
        best and stop when nothing improves.
    validation_fraction : float, default=0.15
        Share of the series held out, drawn at random.
    n_iter_no_change : int, default=10
        Epochs without improvement before training stops.
    device : str, default="auto"
        "auto" takes CUDA, then MPS, then the CPU; or the name of a torch device.
    random_state : int, RandomState or None, default=None
        Seed of initial weights, batches, dropout and the series held out.
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
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the probabilities.
    loss_curve_ : list of float
        Mean training loss of each epoch: cross-entropy after the whole series plus that
        after each row on average.
    validation_scores_ : list of float
        Minus the mean cross-entropy on the held-out series, before training and after
        each epoch.
    n_epochs_ : int
        Epochs run.
    best_epoch_ : int
        The epoch whose weights are kept; 0 is before training.
    network_ : skvar.nn.AarenForClassification
        The trained network; works on standardised rows.
    scaler_ : StandardScaler
        Of the columns, fitted on the rows of all series that are not held out.
    device_ : torch.device
        Where the network is.
    feature_names_in_ : Index
        Names of the columns; numbers if ``X`` in fit was an array.
    n_features_in_ : int
        Number of columns of a series.

    Notes
    -----
    Series may have unequal lengths, in training and after. Nothing is fitted where all
    labels are the same.

    References
    ----------
    .. [1] Feng, L. et al. (2024). Attention as an RNN. arXiv:2405.13956.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from skvar import AarenClassifier
    >>> X, y = load_unit_test(split="train", return_X_y=True)
    >>> classifier = AarenClassifier(max_epochs=20, random_state=0).fit(X, y)
    >>> classifier.predict_proba(X).shape
    (20, 2)
    >>> classifier.rolling_predict_proba(X).shape  # 24 rows in each series
    (20, 24, 2)
    """

    _tags = {
        "authors": "skvar developers",
        "maintainers": "skvar developers",
        "python_dependencies": ["torch", "skorch"],
        "X_inner_mtype": "df-list",
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:predict_proba": True,
        "capability:categorical_in_X": False,
        "capability:random_state": True,
        "property:randomness": "derandomized",
    }

    _specification = AarenClassifierSpecification

    def __init__(
        self,
        token_length: int = 8,
        *,
        n_layers: int = 2,
        n_heads: int = 4,
        d_model: int = 32,
        dropout: float = 0.2,
        learning_rate: float = 3e-3,
        max_epochs: int | None = None,
        batch_size: int = 32,
        weight_decay: float = 0.1,
        early_stopping: bool = False,
        validation_fraction: float = 0.15,
        n_iter_no_change: int = 10,
        device: str = "auto",
        random_state: Seed = None,
        verbose: int = 0,
        on_interrupt: Literal["raise", "keep_best"] = "raise",
        checkpoint: PathLike | None = None,
    ):
        self.token_length = token_length
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.d_model = d_model
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.on_interrupt = on_interrupt
        self.checkpoint = checkpoint
        super().__init__()

    def fit(
        self, X: pd.DataFrame | np.ndarray | list[pd.DataFrame], y: ArrayLike
    ) -> "Self":
        """Fit to series and their labels.

        Parameters
        ----------
        X : sktime panel
            Such as an array (n_series, n_columns, n_rows), a DataFrame with a
            MultiIndex, or a list of DataFrames, whose lengths may differ.
        y : array of shape (n_series,)
            Labels.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``X`` holds inf, NaN, an empty series or series of different columns, if
            a class is too small for ``early_stopping``, or a parameter is out of range.
            The classifier then stays as it was before the call.
        """
        with replacement(self) as working:
            BaseClassifier.fit(working, X, y)
        return self

    predict = reading(BaseClassifier.predict)
    predict_proba = reading(BaseClassifier.predict_proba)
    fit_predict = writing(BaseClassifier.fit_predict)
    fit_predict_proba = writing(BaseClassifier.fit_predict_proba)

    def rolling_predict_proba(
        self, X: pd.DataFrame | np.ndarray | list[pd.DataFrame]
    ) -> np.ndarray:
        """Class probabilities after every row of every series.

        Parameters
        ----------
        X : sktime panel
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n_series, longest, n_classes)
            Entry (i, t) has seen the rows up to t of series i; NaN where it has fewer.

        Raises
        ------
        ValueError
            If ``X`` is not a panel like that of ``fit``, or all labels there were one.
        NotFittedError
            Before ``fit``.
        """
        view = copy_of(self)
        fitted = view._with_classes()
        values = _values(view._check_convert_X_for_predict(X), fitted.names)
        return fitted.rolling_probabilities(values)

    def stream(self) -> Stream:
        """Classify a series as it comes in.

        Returns
        -------
        Stream
            Its ``push(row)`` takes the next row of n_columns numbers and returns the
            probabilities (n_classes,) on all rows so far, in constant time and memory.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If all labels in ``fit`` were one.
        """
        return Stream(self._with_classes().on_cpu())

    def _fit(self, X: list[pd.DataFrame], y: np.ndarray) -> "Self":
        specification = self._specification.from_parameters(self.get_params(deep=False))
        names = _names(X[0])
        self._fitted = estimate_classifier(
            replace(specification, seed=draw_seed(self.random_state)),
            _values(X, names),
            np.searchsorted(self.classes_, y),
            n_classes=self.n_classes_,
            names=names,
        )
        return self

    def _predict_proba(self, X: list[pd.DataFrame]) -> np.ndarray:
        return self._fitted.probabilities(_values(X, self._fitted.names))

    def _check_fitted(self) -> None:
        self.check_is_fitted()

    def _with_classes(self) -> FittedClassifier:
        self.check_is_fitted()
        if self.n_classes_ == 1:
            raise ValueError(
                f"All labels in fit were {self.classes_.tolist()[0]!r}: there is no "
                "network. Fit series of two classes."
            )
        return self._fitted

    scaler_ = fitted_attribute("scaler", "Units of the columns.")
    feature_names_in_ = fitted_attribute("names", "Names of the columns.")
    n_features_in_ = fitted_attribute("n_series", "Number of columns of a series.")

    def __sklearn_tags__(self) -> Tags:
        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(three_d_array=True),
        )

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
        small = {"n_heads": 2, "d_model": 4, "max_epochs": 2, "random_state": 0}
        return [
            {**small, "token_length": 3},
            {
                **small,
                "n_layers": 1,
                "early_stopping": True,
                "validation_fraction": 0.4,
            },
        ]


def _names(table: pd.DataFrame) -> pd.Index:
    """Names of columns; numbers where sktime made them for an array."""
    made = [f"var_{i}" for i in range(table.shape[1])]
    return pd.RangeIndex(len(made)) if list(table.columns) == made else table.columns


def _values(X: list[pd.DataFrame], names: pd.Index) -> list[np.ndarray]:
    """The numbers of tables with these columns, checked."""
    for number, table in enumerate(X):
        ours = _names(table)
        unnamed = isinstance(names, pd.RangeIndex) or isinstance(ours, pd.RangeIndex)
        if len(ours) != len(names) or not (unnamed or ours.equals(names)):
            raise ValueError(
                f"Series {number} of X has the columns {list(ours)}, but the first one "
                f"in fit has {list(names)}; pass the same columns, in the same order."
            )
    values = [table.to_numpy(dtype=float) for table in X]
    if not all(len(x) for x in values):
        raise ValueError("X holds a series without rows; leave it out.")
    if not all(np.isfinite(x).all() for x in values):
        raise ValueError("X holds NaN or inf; fill these values first.")
    for x in values:
        check_sizes(x, "X", names)
    return values
