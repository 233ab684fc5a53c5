"""Torch modules and attention functions, for building networks of one's own."""

from ._attention import linear_attention
from ._networks.linear_attention_var import LinearAttentionVAR
from ._networks.readout import Readout
from ._networks.samovar import SAMoVAR
from ._networks.static_path import StaticPath

__all__ = [
    "LinearAttentionVAR",
    "Readout",
    "SAMoVAR",
    "StaticPath",
    "linear_attention",
]
