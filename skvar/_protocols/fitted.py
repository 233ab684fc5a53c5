"""Fitted attributes: what an estimator shows of all that it knows."""

from operator import attrgetter


def fitted_attribute(path: str, doc: str) -> property:
    """A read-only attribute that shows a part of what was fitted.

    ``path`` leads to it from the estimator's ``_fitted``.
    """
    get = attrgetter(path)

    def show(self):
        self._check_fitted()
        fitted = getattr(self, "_fitted", None)
        if fitted is None:
            raise AttributeError(f"This {type(self).__name__} has no network.")
        return get(fitted)

    return property(show, doc=doc)


class NetworkAttributes:
    """What every estimator shows of its network and of the training of it."""

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
