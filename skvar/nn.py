"""Torch modules and attention functions, for building networks of one's own."""

from ._attention import aaren_attention, linear_attention, merge_states
from ._networks.aaren import Aaren
from ._networks.aaren_classification import AarenForClassification
from ._networks.aaren_forecasting import AarenForForecasting
from ._networks.linear_attention_var import LinearAttentionVAR
from ._networks.readout import Readout
from ._networks.samovar import SAMoVAR
from ._networks.static_path import StaticPath

__all__ = [
    "Aaren",
    "AarenForClassification",
    "AarenForForecasting",
    "LinearAttentionVAR",
    "Readout",
    "SAMoVAR",
    "StaticPath",
    "aaren_attention",
    "linear_attention",
    "merge_states",
]
