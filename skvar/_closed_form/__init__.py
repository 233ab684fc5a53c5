"""What is solved rather than trained: regressions, covariates, gaps, quantiles."""
