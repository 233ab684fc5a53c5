"""One training by several processes, each of which takes its part of every batch."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from .checkpoint import digest

_SHARES = ContextVar("shares trainings", default=False)


@contextmanager
def data_parallel() -> Iterator[None]:
    """Share the trainings of a block among the processes of a launch.

    Every process runs the same script on the same data, and calls the same methods
    within the block. Each of them computes the gradients of its part of every batch;
    their mean makes the same step in all of them, so that all end with the same
    network. ``batch_size`` is that of one process: two processes train as one does with
    twice the ``batch_size``. They agree on validation scores, and so on the epoch to
    stop at. The first process alone writes checkpoints and shows progress.

    Outside of the block, and in a script that was started without a launcher, a process
    trains alone.

    Yields
    ------
    None

    Raises
    ------
    RuntimeError
        If a launcher started several processes that do not know each other yet.

    Notes
    -----
    Equality with one process holds up to rounding for networks without dropout and
    batch normalisation, on tables without missing values. Otherwise each process draws
    its own dropout, normalises its own part of a batch, and weighs its part by the
    number of its windows.

    Methods that train, besides ``fit``, are ``update`` and, where intervals are
    calibrated by a second training, the first ``predict_interval`` or
    ``predict_quantiles``. All processes must call them within the block, or one process
    outside of it.

    Examples
    --------
    Started by ``accelerate launch --num_processes 2 script.py``, or as it is.

    >>> from skvar import SAMoVARForecaster, data_parallel
    >>> from skvar.datasets import make_var
    >>> table = make_var(200, 2, random_state=0).series
    >>> forecaster = SAMoVARForecaster(4, d_model=8, max_epochs=1, random_state=0)
    >>> with data_parallel():  # after accelerator = accelerate.Accelerator()
    ...     forecaster.fit(table, fh=[1]).n_epochs_
    1
    """
    is_launched = distributed.is_available() and distributed.is_initialized()
    n_started = os.environ.get("WORLD_SIZE", "1")
    if not is_launched and n_started != "1":
        raise RuntimeError(
            f"The launcher started {n_started} processes, which are not connected. "
            "Create accelerate.Accelerator() at the top of the script, or call "
            "torch.distributed.init_process_group."
        )
    token = _SHARES.set(is_launched)
    try:
        yield
    finally:
        _SHARES.reset(token)


@dataclass(frozen=True)
class Processes:
    """Those that share a training.

    Parameters
    ----------
    rank : int
        Which one this is; the first is 0.
    count : int
    device : torch.device
        Of the training in this process.
    """

    rank: int
    count: int
    device: torch.device

    @classmethod
    def here(cls, device: torch.device) -> "Processes":
        """Those that share the trainings of the present block."""
        if not _SHARES.get():
            return cls(0, 1, device)
        return cls(distributed.get_rank(), distributed.get_world_size(), device)

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and shows progress."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is no other."""
        return self.count == 1

    def check_same(self, beginning: Mapping) -> None:
        """Raise unless the training begins alike in all processes."""
        if self.is_alone:
            return
        found = [None] * self.count
        distributed.all_gather_object(found, digest(beginning))
        others = [rank for rank, one in enumerate(found) if one != found[0]]
        if others:
            raise ValueError(
                f"Processes {others} begin another training than process 0. Fit the "
                "same estimator to the same table in all of them, with a number for "
                "random_state."
            )

    def backward(self, network: nn.Module, batch: Sequence[Tensor]) -> Tensor:
        """Loss of a batch, whose gradients are added up from parts of it."""
        if self.is_alone:
            loss = sum(network.losses(*batch).values())
            loss.backward()
            return loss.detach()
        part = [tensor.tensor_split(self.count)[self.rank] for tensor in batch]
        parameters = [p for p in network.parameters() if p.requires_grad]
        loss = parameters[0].new_zeros(())
        if len(part[0]):
            loss = sum(network.losses(*part).values())
            loss.backward()
        weight = len(part[0]) / len(batch[0])
        return self._add_up(loss.detach(), parameters, weight)

    def _add_up(
        self, loss: Tensor, parameters: Sequence[nn.Parameter], weight: float
    ) -> Tensor:
        """Weighted sum of the losses of all processes; the same of gradients, in place.

        In one message.
        """
        zero = torch.zeros((), device=loss.device)
        gradients = [
            zero.expand_as(p) if p.grad is None else p.grad for p in parameters
        ]
        # An optimiser leaves a parameter without a gradient alone.
        is_learned = loss.new_tensor([p.grad is not None for p in parameters])
        parts = [loss.reshape(1), *(part.flatten() for part in gradients), is_learned]
        message = torch.cat(parts)
        message[: -len(parameters)] *= weight
        distributed.all_reduce(message)
        sizes = [1, *(p.numel() for p in parameters), len(parameters)]
        loss, *gradients, is_learned = message.split(sizes)
        for parameter, gradient, learned in zip(
            parameters, gradients, is_learned.tolist(), strict=True
        ):
            parameter.grad = gradient.view_as(parameter) if learned else None
        return loss.squeeze()

    def of_first(self, values: Tensor) -> Tensor:
        """The values of the first process, in all."""
        if self.is_alone:
            return values
        sent = values.to(self.device, copy=True)
        distributed.broadcast(sent, 0)
        return sent.to(values.device)

    def object_of_first(self, value):
        """An object of the first process, in all."""
        if self.is_alone:
            return value
        sent = [value]
        distributed.broadcast_object_list(sent, 0)
        return sent[0]

    def share_statistics(self, network: nn.Module) -> None:
        """Give all networks the running statistics of batches of the first one."""
        for name, buffer in network.named_buffers():
            if name.rpartition(".")[2] in ("running_mean", "running_var"):
                buffer.copy_(self.of_first(buffer))

    def dropout(self, order: torch.Generator, device: torch.Generator):
        """What draws dropout in the next epoch, whose order of batches is drawn alike.

        Another generator than that of the order, as parts of unequal length draw
        unequally often.
        """
        if self.is_alone:
            return device
        fork = torch.Generator().set_state(order.get_state())
        seed = int(torch.randint(2**62, (), generator=fork)) + self.rank
        return torch.Generator(self.device).manual_seed(seed)
