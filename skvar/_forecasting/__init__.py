"""Forecasters: histories, calibration, and the protocols of sktime and scikit-learn."""
