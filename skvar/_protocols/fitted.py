"""Fitted attributes: what an estimator shows of all that it knows."""

from operator import attrgetter
from typing import Any

from .._files.versions import with_versions, without_versions


def fitted_attribute(path: str, doc: str) -> property:
    """A read-only attribute that shows a part of what was fitted.

    ``path`` leads to it from the estimator's ``_fitted``.
    """
    get = attrgetter(path)

    def show(self) -> Any:
        self._check_fitted()
        fitted = getattr(self, "_fitted", None)
        if fitted is None:
            raise AttributeError(f"This {type(self).__name__} has no network.")
        return get(fitted)

    return property(show, doc=doc)


class NetworkEstimator:
    """What every estimator shows of its network and of the training of it.

    Its pickles know which versions they were made with.
    """

    network_ = fitted_attribute("model.network", "The trained network.")
    device_ = fitted_attribute("model.device", "The device that holds the network.")
    loss_curve_ = fitted_attribute(
        "model.record.loss_curve", "Mean training loss of each epoch."
    )
    validation_scores_ = fitted_attribute(
        "model.record.validation_scores", "Validation scores before and after epochs."
    )
    n_epochs_ = fitted_attribute("model.record.n_epochs", "Epochs run.")
    best_epoch_ = fitted_attribute(
        "model.record.best_epoch", "The epoch whose weights are kept; 0 is the start."
    )

    def __getstate__(self) -> dict:
        inherited = getattr(super(), "__getstate__", None)
        state = vars(self) if inherited is None else inherited()
        return with_versions(state)

    def __setstate__(self, state: dict) -> None:
        vars(self).update(without_versions(state, type(self).__name__))
