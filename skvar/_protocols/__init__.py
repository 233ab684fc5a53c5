"""What scikit-learn, sktime and threads ask of estimators."""
