"""Random numbers of a fit, from a generator of its own.

torch's global generators belong to the process: other threads draw from them.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn
from torch.overrides import TorchFunctionMode

from .._typing import Seed

# Initialisers are called as one function, which the mode does not see inside of.
_INITIALISERS = {
    function
    for function in vars(torch.nn.init).values()
    if inspect.isfunction(function)
    and "generator" in inspect.signature(function).parameters
}
# Some versions of torch draw these by the generator of the process alone.
_LIKE = {
    getattr(torch, name)
    for name in ("rand_like", "randint_like", "randn_like")
    if "generator" in getattr(torch.ops.aten, name).overloads()
}
_DRAWING = {
    *_INITIALISERS,
    *_LIKE,
    torch.bernoulli,
    torch.binomial,
    torch.multinomial,
    torch.normal,
    torch.poisson,
    torch.rand,
    torch.randint,
    torch.randn,
    torch.randperm,
    *(
        getattr(torch.Tensor, name)
        for name in (
            "bernoulli",
            "bernoulli_",
            "cauchy_",
            "exponential_",
            "geometric_",
            "log_normal_",
            "multinomial",
            "normal_",
            "random_",
            "uniform_",
        )
    ),
}


def draw_seed(random_state: Seed) -> int:
    """A seed from what scikit-learn takes as ``random_state``."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    return int(check_random_state(random_state).randint(2**31))


class Generators:
    """Where the random numbers of one fit come from.

    ``cpu`` draws initial weights and the order of batches, ``device`` dropout.
    """

    def __init__(self, seed: int, device: torch.device):
        self.cpu = torch.Generator().manual_seed(seed)
        self.device = self.cpu
        if device.type != "cpu":
            self.device = torch.Generator(device).manual_seed(seed)

    def __iter__(self) -> Iterator[torch.Generator]:
        yield from {id(one): one for one in (self.cpu, self.device)}.values()


class initialised_by(TorchFunctionMode):
    """Within it, this thread's modules draw their initial weights from a generator."""

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in _DRAWING and kwargs.get("generator") is None:
            kwargs = {**kwargs, "generator": self.generator}
        return function(*args, **kwargs)


@contextmanager
def drawing_from(network: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Let modules that draw in training do so from a generator, and then forget it."""
    modules = [module for module in network.modules() if hasattr(module, "generator")]
    try:
        for module in modules:
            module.generator = generator
        yield
    finally:
        for module in modules:
            module.generator = None
