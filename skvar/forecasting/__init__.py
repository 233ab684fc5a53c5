"""The public forecasters, a file for each family."""

from .aaren import AarenForecaster
from .informer import InformerForecaster
from .itransformer import ITransformerForecaster
from .linear_attention_var import LinearAttentionVAR
from .linear_transformer import LinearTransformerForecaster
from .samovar import SAMoVARForecaster

__all__ = [
    "AarenForecaster",
    "ITransformerForecaster",
    "InformerForecaster",
    "LinearAttentionVAR",
    "LinearTransformerForecaster",
    "SAMoVARForecaster",
]
