"""Training of a network on windows, with skorch as the engine."""

import copy
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache, partial

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from .checkpoint import Checkpoint
from .inference import squared_errors
from .processes import Processes
from .randomness import Generators, drawing_from

# Epochs after which training ends where it began with a good forecast and none of them
# improved on it.
_LOOK = 3


@dataclass(frozen=True)
class TrainingOptions:
    """How to train: the estimators' parameters of the same names.

    ``required_gain`` is the gain on the start, in its standard errors over what is held
    out, below which the start is kept. ``epoch_size`` is the number of examples drawn
    for an epoch; None takes all.
    """

    learning_rate: float
    max_epochs: int
    batch_size: int
    weight_decay: float
    n_iter_no_change: int
    required_gain: float
    device: torch.device
    verbose: int
    on_interrupt: str = "raise"
    checkpoint: str | None = None
    epoch_size: int | None = None


@dataclass
class TrainingRecord:
    """Mean training loss of each epoch; validation scores before and after each.

    ``best_epoch`` is the one whose weights are kept; 0 is the start. ``interrupted``
    tells whether the user ended it.
    """

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best_epoch: int = 0
    interrupted: bool = False

    @property
    def n_epochs(self) -> int:
        """Epochs run."""
        return len(self.loss_curve)


def train(
    network: nn.Module,
    examples: Dataset,
    validation: Dataset | None,
    options: TrainingOptions,
    generators: Generators,
    errors: Callable[[nn.Module, Dataset], Tensor] = squared_errors,
) -> TrainingRecord:
    """Train ``network`` in place with AdamW, one linear cycle and clipped gradients.

    Examples, like `Windows`, have a length, go ``to`` a device and come in ``batches``
    of what ``network.losses`` takes; ``errors(network, validation)`` has a number for
    each. With validation the weights of the best epoch are kept, the state before the
    first epoch being one candidate, and training ends after ``n_iter_no_change`` epochs
    without improvement; a best epoch that does not beat the start by the required gain
    is given up for it. Scores are minus mean errors.
    Within `data_parallel` each process takes its part of batches that are so many times
    larger.
    """
    with _IMPORTING:
        _first_step()
    processes = Processes.here(options.device)
    options = replace(options, batch_size=options.batch_size * processes.count)
    network.to(options.device)
    examples = examples.to(options.device)
    if validation is not None:
        validation = validation.to(options.device)
    if not processes.is_alone:
        anywhere = replace(options, device=torch.device("cpu"))
        beginning = _setting(network, examples, validation, anywhere)
        beginning["weights"] = network.state_dict()
        beginning["order"] = generators.cpu.get_state()
        processes.check_same(beginning)
    record = TrainingRecord()
    best = _BestWeights(
        network,
        validation,
        lambda *args: processes.of_first(errors(*args)),
        record.validation_scores,
    )
    n_drawn = min(len(examples), options.epoch_size or len(examples))
    n_batches = math.ceil(n_drawn / options.batch_size)
    steps = options.max_epochs * n_batches
    with _progress(steps, options.verbose and processes.is_first) as bar:
        training = _Training(
            _engine(network, steps, options, generators, processes, bar),
            examples,
            options,
            generators,
            record,
            best,
        )
        checkpoint = None
        if options.checkpoint is not None:
            if processes.is_first:
                beginning = _setting(network, examples, validation, options)
                beginning["state"] = training.state()
                checkpoint = Checkpoint(options.checkpoint, beginning)
            saved = None if checkpoint is None else checkpoint.load()
            training.go_on_from(processes.object_of_first(saved))
            if bar is not None:
                bar.update(n_batches * record.n_epochs)
        try:
            training.run(checkpoint)
        except KeyboardInterrupt:
            if options.on_interrupt == "raise":
                raise
            record.interrupted = True
    record.best_epoch = best.restore(options.required_gain)
    network.eval()
    diverged = training.diverged
    # The loss of an epoch does not tell of the weights after its last step.
    if validation is None and not _is_finite(network, examples, options.batch_size):
        record.best_epoch = best.give_up()
        diverged = diverged or len(record.loss_curve)
    if diverged:
        warnings.warn(
            f"Training diverged in epoch {diverged}: the loss is not finite. The "
            f"weights of epoch {record.best_epoch} are kept; lower learning_rate to "
            "train on.",
            ConvergenceWarning,
            stacklevel=2,
        )
    if record.interrupted:
        warnings.warn(
            f"Training was interrupted after epoch {record.n_epochs} of "
            f"{options.max_epochs}. The weights of epoch {record.best_epoch} are kept.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return record


@dataclass
class _Training:
    """Epochs of a training, which may go on from a checkpoint."""

    net: "_Engine"
    examples: Dataset
    options: TrainingOptions
    generators: Generators
    record: TrainingRecord
    best: "_BestWeights"
    diverged: int = 0
    is_done: bool = False

    def run(self, checkpoint: Checkpoint | None) -> None:
        """Train to the end, or to an epoch that is no improvement."""
        while not self.is_done and self.options.max_epochs:
            self.run_epoch()
            if checkpoint is not None:
                checkpoint.write(self.state(), at_once=self.is_done)

    def run_epoch(self) -> None:
        """Train for an epoch, and see whether it is the last one."""
        epoch, options, best = self.record.n_epochs + 1, self.options, self.best
        network, generators = self.net.module_, self.generators
        processes = self.net.processes
        dropout = processes.dropout(generators.cpu, generators.device)
        with drawing_from(network, dropout):
            self.net.fit_loop(self.examples, epochs=1)
        processes.share_statistics(network)
        loss = self.net.history[-1, "train_loss"]
        if not math.isfinite(loss):
            self.diverged, self.is_done = epoch, True
            return
        self.record.loss_curve.append(loss)
        patience = options.n_iter_no_change
        if options.required_gain and not best.epoch:
            # Where the start is a good forecast, a look tells if it can be beaten.
            patience = min(patience, _LOOK)
        waited = best.see(epoch) - best.epoch
        self.is_done = waited >= patience or epoch == options.max_epochs

    def state(self) -> dict:
        """All that the next epochs depend on."""
        return {
            "network": self.net.module_.state_dict(),
            "optimizer": self.net.optimizer_.state_dict(),
            "cycle": self.net.cycle.state_dict(),
            "generators": [one.get_state() for one in self.generators],
            "loss_curve": self.record.loss_curve,
            "best": self.best.state(),
            "diverged": self.diverged,
            "is_done": self.is_done,
        }

    def go_on_from(self, state: dict | None) -> None:
        """Be as when a state was taken."""
        if state is None:
            return
        self.net.module_.load_state_dict(state["network"])
        self.net.optimizer_.load_state_dict(state["optimizer"])
        self.net.cycle.load_state_dict(state["cycle"])
        for generator, of_then in zip(
            self.generators, state["generators"], strict=True
        ):
            generator.set_state(of_then)
        self.record.loss_curve.extend(state["loss_curve"])
        self.best.go_on_from(state["best"])
        self.diverged, self.is_done = state["diverged"], state["is_done"]


def _built_as(network: nn.Module) -> list:
    """What a network makes of its weights: modules, sizes and constants."""
    plain = bool, int, float, str
    modules = [
        [name, type(module).__qualname__]
        + [[k, v] for k, v in vars(module).items() if type(v) in plain]
        for name, module in network.named_modules()
    ]
    return [*modules, dict(network.named_buffers())]


def _setting(
    network: nn.Module,
    examples: Dataset,
    validation: Dataset | None,
    options: TrainingOptions,
) -> dict:
    """All that a training depends on, but the state that it begins with."""
    ignored = ("checkpoint", "verbose", "on_interrupt")
    kept = {k: v for k, v in vars(options).items() if k not in ignored}
    return {
        "network": _built_as(network),
        "options": {**kept, "device": str(options.device)},
        "examples": examples.content(),
        "validation": None if validation is None else validation.content(),
    }


def _is_finite(network: nn.Module, examples: Dataset, batch_size: int) -> bool:
    """Whether the losses of a batch are."""
    with torch.no_grad():
        losses = network.losses(*next(examples.batches(batch_size)))
    return math.isfinite(sum(losses.values()))


class _BestWeights:
    """The weights of the best epoch by validation score; 0 is before training."""

    def __init__(
        self,
        network: nn.Module,
        validation: Dataset | None,
        measure: Callable,
        scores: list,
    ):
        self.network, self.validation, self.measure = network, validation, measure
        self.scores = scores
        self.epoch, self.weights, self.errors = 0, None, None
        self.see(0)
        self.start = self.weights, self.errors

    def see(self, epoch: int) -> int:
        """Score the network after ``epoch``; without validation the last is best."""
        errors = None
        if self.validation is not None:
            errors = self.measure(self.network, self.validation)
            self.scores.append(-errors.mean().item())
            if self.weights is not None and not self.scores[-1] > max(self.scores[:-1]):
                return epoch
        self.epoch, self.errors = epoch, errors
        self.weights = copy.deepcopy(self.network.state_dict())
        return epoch

    def state(self) -> dict:
        """What it has seen."""
        return {
            "epoch": self.epoch,
            "weights": self.weights,
            "errors": self.errors,
            "scores": self.scores,
        }

    def go_on_from(self, state: dict) -> None:
        """Have seen what it had seen then."""
        self.epoch, self.weights = state["epoch"], state["weights"]
        self.errors, self.scores[:] = state["errors"], state["scores"]

    def restore(self, required_gain: float) -> int:
        """Load the best weights, or those of the start if they gained too little."""
        weights, errors = self.start
        if errors is not None and required_gain > 0 and self.epoch > 0:
            gain = errors - self.errors
            # One window is no evidence of a gain.
            spread = gain.std().item() if len(gain) > 1 else math.inf
            if gain.mean() < required_gain * spread / math.sqrt(len(gain)):
                self.epoch, self.weights = 0, weights
        self.network.load_state_dict(self.weights)
        return self.epoch

    def give_up(self) -> int:
        """Load the weights of the start."""
        self.network.load_state_dict(self.start[0])
        return 0


class _Engine(NeuralNet):
    """skorch's loop on our losses; validation is ours."""

    processes: Processes

    @property
    def cycle(self) -> torch.optim.lr_scheduler.LRScheduler:
        """What sets the learning rate."""
        return dict(self.callbacks_)["cycle"].lr_scheduler_

    def train_step_single(self, batch, **fit_params):
        self._set_training(True)
        loss = self.processes.backward(self.module_, batch)
        return {"loss": loss, "y_pred": None}


def _engine(
    network: nn.Module,
    steps: int,
    options: TrainingOptions,
    generators: Generators,
    processes: Processes,
    bar: tqdm | None,
) -> _Engine:
    net = _Engine(
        network,
        criterion=nn.MSELoss,
        optimizer=torch.optim.AdamW,
        lr=options.learning_rate,
        optimizer__betas=(0.9, 0.95),
        optimizer__weight_decay=options.weight_decay,
        optimizer__fused=options.device.type in ("cpu", "cuda"),
        batch_size=options.batch_size,
        iterator_train=partial(
            _shuffled, generator=generators.cpu, n_most=options.epoch_size
        ),
        train_split=None,
        device=options.device,
        verbose=0,
        # It prints where Ray has put its own function in the place of print.
        callbacks__print_log=None,
        callbacks=[
            ("clip", GradientNormClipping(1.0)),
            (
                "cycle",
                LRScheduler(
                    torch.optim.lr_scheduler.OneCycleLR,
                    step_every="batch",
                    max_lr=options.learning_rate,
                    total_steps=steps + 1,
                    # A hair more than 1/20: a warm-up of no length divides by zero.
                    pct_start=0.05 + 1e-6,
                    anneal_strategy="linear",
                    div_factor=10,
                    cycle_momentum=False,
                ),
            ),
            *([] if bar is None else [("progress", _Progress(bar))]),
        ],
    )
    net.processes = processes
    net.initialize()
    net.notify("on_train_begin", X=None, y=None)
    return net


def _shuffled(
    examples, batch_size: int, generator: torch.Generator, n_most: int | None
) -> Iterator:
    return examples.batches(batch_size, generator=generator, n_most=n_most)


def _progress(steps: int, verbose: int):
    """A bar, if one is to be shown: even a disabled one takes a lock of the process."""
    return tqdm(total=steps, desc="fit") if verbose else nullcontext()


class _Progress(Callback):
    """One bar over all batches of a fit."""

    def __init__(self, bar: tqdm):
        self.bar = bar

    def on_batch_end(self, net, **kwargs):
        self.bar.update()


def epochs_of(steps: int, n_examples: int, batch_size: int) -> int:
    """Passes over the examples that make so many steps, at least two."""
    batch_size = batch_size * Processes.here(torch.device("cpu")).count
    return max(2, math.ceil(steps / math.ceil(n_examples / batch_size)))


def resolve_device(device: str) -> torch.device:
    """The torch device of a ``device`` parameter; "auto" takes CUDA, MPS, then CPU.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} is not available here; use 'auto', 'cpu' or the name "
            "of a torch device of this machine, such as 'cuda:0'."
        ) from error
    return resolved


# Held while torch imports what its optimisers need, and during forks.
_IMPORTING = threading.RLock()


@cache
def _first_step() -> None:
    """Use an optimiser: at the first use torch imports for a second.

    A child forked meanwhile would wait for ever for modules half imported.
    """
    parameter = nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    torch.optim.SGD([parameter]).step()


def _in_child() -> None:
    _IMPORTING.release()
    # The threads of OpenMP do not survive a fork: a child that asked them to work would
    # wait for ever.
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_IMPORTING.acquire,
        after_in_parent=_IMPORTING.release,
        after_in_child=_in_child,
    )
