"""The public regressors: rows are time steps."""

from .linear_attention_var import LinearAttentionVARRegressor
from .samovar import SAMoVARRegressor

__all__ = ["LinearAttentionVARRegressor", "SAMoVARRegressor"]
