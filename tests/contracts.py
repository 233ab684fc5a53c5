"""The checks of sktime's contract that estimators are put to."""

import pytest
from sktime.utils.estimator_checks import parametrize_with_checks

# Checks that fit a hundred times, some of which are about times alone.
ABOUT_TIMES = {
    "test_predict_time_index",
    "test_predict_time_index_in_sample_full",
    "test_predict_time_index_with_X",
    "test_update_predict_predicted_index",
}
LONG = {"test_predict_interval", "test_predict_quantiles", *ABOUT_TIMES}
# The suite runs examples of docstrings itself.
ELSEWHERE = {"test_doctest_examples"}


def checks_of_sktime(classes, in_full):
    """Classes and names of checks; long checks for those ``in_full`` alone."""
    _, checks = parametrize_with_checks(classes).mark.args
    for estimator, name in checks:
        is_long = name in LONG
        if name not in ELSEWHERE and (estimator in in_full or not is_long):
            marks = [pytest.mark.slow] if is_long else []
            label = f"{estimator.__name__}-{name}"
            yield pytest.param(estimator, name, id=label, marks=marks)
