"""One paper, one network: modules from a window to a forecast.

Every network is called on a window (B, lags, n_series), returns a forecast
(B, horizon, n_targets) and names its training losses in ``losses(window, target)``.
Entries of the target that are NaN do not count, nor do those of the window that were
not ``observed``, a third argument of bools (B, lags, n_series) for tables with gaps.
"""
