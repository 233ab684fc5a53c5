"""What sktime 1.2 and scikit-learn 1.9 need of an estimator of sktime of ours."""


class SktimeEstimator:
    """Goes before sktime's base class."""

    # scikit-learn's meta-estimators leave these on a step before they call its fit,
    # and sktime's fit would delete them (seen in scikit-learn 1.9, sktime 1.2).
    _kept_by_reset = (
        "_lock",
        "_parent_callback_ctx",
        "_skl_callbacks",
        "_skl_callbacks_to_teardown",
        "_callback_fit_ctx",
        "_metadata_request",
        "_sklearn_output_config",
    )

    def reset(self):
        """Return to the state after construction, but for what warm_start carries.

        Returns
        -------
        self
        """
        kept = self._kept_by_reset
        state = {name: self.__dict__[name] for name in kept if name in self.__dict__}
        super().reset()
        self.__dict__.update(state)
        return self

    def _after_reading(self, view) -> None:
        """Take over what a call that reads may leave behind: nothing."""

    # scikit-learn's check_is_fitted else looks for attributes that end in "_".
    def __sklearn_is_fitted__(self) -> bool:
        return self.is_fitted
