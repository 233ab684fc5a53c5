"""Torch modules and attention functions, for building networks of one's own."""

from ._attention import (
    aaren_attention,
    linear_attention,
    merge_states,
    probsparse_attention,
)
from ._networks.aaren import Aaren
from ._networks.aaren_classification import AarenForClassification
from ._networks.aaren_forecasting import AarenForForecasting
from ._networks.informer import Informer
from ._networks.itransformer import ITransformer
from ._networks.linear_attention_var import LinearAttentionVAR
from ._networks.linear_transformer import LinearTransformer
from ._networks.readout import Readout
from ._networks.samovar import SAMoVAR
from ._networks.static_path import StaticPath

__all__ = [
    "Aaren",
    "AarenForClassification",
    "AarenForForecasting",
    "ITransformer",
    "Informer",
    "LinearAttentionVAR",
    "LinearTransformer",
    "Readout",
    "SAMoVAR",
    "StaticPath",
    "aaren_attention",
    "linear_attention",
    "merge_states",
    "probsparse_attention",
]
