"""
Events in continuous time
=========================

Earthquakes, trades and infections come in bursts: events of several types that excite
one another. ``skvar.nn.Aaren`` reads their history, one token per event, and gives the
density of the next waiting time and mark, as the type is called. The data are simulated
from a Hawkes process, whose own density is the best that any model can reach.

Prints log-likelihoods between those of a Poisson process and of the truth, and saves a
picture of the intensities.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from tqdm import trange

from skvar.nn import Aaren

# %%
# Events that excite one another
# ------------------------------
# Mark i has the intensity ``base[i] + x[i]``. An event of mark j adds ``jump[i, j]`` to
# ``x[i]``, which decays at the rate ``decay[i]``.

base = np.array([0.10, 0.05, 0.05])
decay = np.array([1.0, 2.0, 4.0])
jump = np.array([[0.4, 0.0, 0.6], [1.4, 0.4, 0.0], [0.0, 2.0, 0.8]])
n_marks = len(base)


def after_event(x, wait, mark):
    return x * np.exp(-decay * wait[:, np.newaxis]) + jump.T[mark]


def simulate(n_sequences, n_events, rng):
    """Waiting times and marks, exactly: the first clock that rings is the next event.

    Each mark has two, one that rings at the rate ``base`` and one at the rate ``x``,
    whose integral never exceeds ``x / decay``: it may not ring at all.
    """
    x = np.zeros((n_sequences, n_marks))
    waits = np.empty((n_sequences, n_events))
    marks = np.empty((n_sequences, n_events), dtype=int)
    for n in range(n_events):
        steady, fading = rng.exponential(size=(2, n_sequences, n_marks))
        with np.errstate(divide="ignore"):
            left = np.maximum(1 - fading * decay / x, 0)
            clocks = np.concatenate([steady / base, -np.log(left) / decay], axis=1)
        waits[:, n], marks[:, n] = clocks.min(axis=1), clocks.argmin(axis=1) % n_marks
        x = after_event(x, waits[:, n], marks[:, n])
    return waits, marks


def excitations(waits, marks):
    """The x at the start of each wait."""
    x = [np.zeros((len(waits), n_marks))]
    for wait, mark in zip(waits.T[:-1], marks.T[:-1], strict=True):
        x.append(after_event(x[-1], wait, mark))
    return np.stack(x, axis=1)


rng = np.random.default_rng(0)
train, test = simulate(512, 128, rng), simulate(256, 128, rng)


# %%
# The network
# -----------
# Between events the intensity of a Hawkes process falls, like that of a mixture of
# exponentials. Each component has its own probabilities of the marks, so that these
# change with the wait. Recent events matter most: hence a ``timescale``.


class EventNetwork(nn.Module):
    def __init__(self, d_model=32, n_components=4):
        super().__init__()
        self.mark = nn.Embedding(n_marks + 1, d_model)  # and a token to start with
        self.wait = nn.Linear(1, d_model)
        self.aaren = Aaren(d_model, n_heads=4, n_layers=2, d_ff=64, timescale=16)
        self.head = nn.Sequential(
            nn.LayerNorm(d_model),
            nn.Linear(d_model, n_components * (2 + n_marks)),
            nn.Unflatten(-1, (n_components, 2 + n_marks)),
        )

    def forward(self, waits, marks, state=None):
        tokens = self.mark(marks) + self.wait(waits.log().unsqueeze(-1))
        outputs, state = self.aaren(tokens, state)
        return self.head(outputs), state


def start(waits, marks):
    """What is known before each event: the ones before it, after a token to start."""
    waits = torch.cat([torch.ones_like(waits[:, :1]), waits[:, :-1]], dim=1)
    first = torch.full_like(marks[:, :1], n_marks)
    return waits, torch.cat([first, marks[:, :-1]], dim=1)


def log_densities(mixture, wait):
    """Logarithms of the density of each mark after a wait, and of no event before."""
    weight, log_rate = mixture[..., 0].log_softmax(-1), mixture[..., 1]
    survival = weight - log_rate.exp() * wait.unsqueeze(-1)
    density = (survival + log_rate).unsqueeze(-1) + mixture[..., 2:].log_softmax(-1)
    return density.logsumexp(-2), survival.logsumexp(-1)


def log_likelihood(mixture, waits, marks):
    """Of each waiting time, and of each mark given the waiting time."""
    density, _ = log_densities(mixture, waits)
    time = density.logsumexp(-1)
    return time, density.gather(-1, marks.unsqueeze(-1)).squeeze(-1) - time


# %%
# Maximum likelihood. Sequences end at an event, so that nothing is censored.

n_epochs, batch_size = 10, 32
waits, marks = torch.tensor(train[0]).float(), torch.tensor(train[1])
torch.manual_seed(0)
network = EventNetwork()
optimizer = torch.optim.AdamW(network.parameters())
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=6e-3, total_steps=n_epochs * len(waits) // batch_size
)
for _ in trange(n_epochs, desc="training", disable=None):
    for batch in torch.randperm(len(waits)).split(batch_size):
        mixture, _ = network(*start(waits[batch], marks[batch]))
        loss = -sum(log_likelihood(mixture, waits[batch], marks[batch])).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()


# %%
# From Poisson to the truth
# -------------------------
# The floor is a Poisson process with the rate and the shares of the training events.


def poisson(waits, marks):
    rate = 1 / train[0].mean()
    shares = np.bincount(train[1].ravel()) / train[1].size
    return np.log(rate) - rate * waits, np.log(shares[marks])


def true_intensities(x, wait):
    return base + x * np.exp(-decay * wait[..., np.newaxis])


def truth(waits, marks):
    x, wait = excitations(waits, marks), waits[..., np.newaxis]
    intensities = true_intensities(x, waits)
    total = intensities.sum(-1)
    integral = base * wait - x * np.expm1(-decay * wait) / decay
    observed = np.take_along_axis(intensities, marks[..., np.newaxis], axis=-1)[..., 0]
    return np.log(total) - integral.sum(-1), np.log(observed / total)


waits, marks = torch.tensor(test[0]).float(), torch.tensor(test[1])
with torch.no_grad():
    mixture, _ = network(*start(waits, marks))
    fitted = log_likelihood(mixture, waits, marks)
scores = {
    name: [float(part.mean()) for part in parts]
    for name, parts in (
        ("Poisson", poisson(*test)),
        ("Aaren", fitted),
        ("truth", truth(*test)),
    )
}
print("\nLog-likelihood per test event:\n\n            time     mark      sum")
for name, (time, mark) in scores.items():
    print(f"  {name:<8}{time:+.3f}   {mark:+.3f}   {time + mark:+.3f}")
low, reached, high = (sum(parts) for parts in scores.values())
share = (reached - low) / (high - low)
print(f"\nAaren goes {share:.1%} of the way from Poisson to the truth.")

# %%
# One event at a time
# -------------------
# In use, events come one by one. Each updates a state whose size stays the same.

state, stream = None, []
last_waits, last_marks = start(waits[:1], marks[:1])
with torch.no_grad():
    for n in range(len(waits[0])):
        one, state = network(last_waits[:, [n]], last_marks[:, [n]], state)
        stream.append(one)
difference = (torch.cat(stream, dim=1) - mixture[:1]).abs().max()
print(f"Event by event or all at once: outputs differ by {difference:.0e} at most.")

# %%
# The network has not been told how intensities decay: what its densities imply.

begin, end = 30, 75
wait = test[0][0, begin:end]
x = excitations(*test)[0, begin:end]
inside = wait[:, np.newaxis] * np.linspace(0, 1, 50)
true_curves = true_intensities(x[:, np.newaxis], inside).reshape(-1, n_marks)
density, survival = log_densities(
    mixture[0, begin:end].unsqueeze(1), torch.tensor(inside).float()
)
curves = (density - survival.unsqueeze(-1)).exp().flatten(0, 1)
ends = np.cumsum(wait)
times = (ends[:, np.newaxis] - wait[:, np.newaxis] + inside).ravel()

figure, axes = plt.subplots(
    n_marks + 1, sharex=True, figsize=(8, 7), layout="constrained"
)
true_curves = np.column_stack([true_curves.sum(-1), true_curves])
curves = np.column_stack([curves.sum(-1), curves])
colors = ["#009e73", "#cc79a7", "#e69f00"]
for i, axis in enumerate(axes):
    axis.plot(times, true_curves[:, i], color="black", linewidth=1, label="true")
    axis.plot(times, curves[:, i], color="#0072b2", linewidth=1, label="Aaren")
    axis.set_ylabel(f"mark {i}" if i else "all marks")
for i, color in enumerate(colors, start=1):
    events = ends[test[1][0, begin:end] == i - 1]
    for axis in (axes[0], axes[i]):
        axis.plot(
            events,
            np.full(len(events), -0.06),
            "|",
            color=color,
            markersize=9,
            transform=axis.get_xaxis_transform(),
            clip_on=False,
        )
axes[0].set_title("Conditional intensity, and the events", loc="left")
axes[0].legend(ncols=2, loc="upper right", frameon=False)
axes[-1].set_xlabel("time")
axes[-1].tick_params("x", pad=10)
plt.savefig("events.png", dpi=150)
