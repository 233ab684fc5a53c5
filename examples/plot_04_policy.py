"""
A policy that returns what is asked of it
=========================================

A boat is to stay at a buoy, in a current whose direction is not observed. Records show
sailors of different skill. A network learns to predict their next action from the
positions, the actions and the return still to come: a Decision Transformer, with
``skvar.nn.Aaren`` in place of the Transformer. It is then asked for a return, and
steers from a state of constant size.

Prints mean returns next to those of imitation, and saves a picture of returns requested
and obtained.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from tqdm import trange

from skvar.nn import Aaren

# %%
# The task and the records
# ------------------------
# The reward is minus the squared distance to the buoy. Sailors feel the current, and
# correct for it and for their position by a share that is their skill.

n_steps = 30


def simulate(controller, n_episodes, rng):
    """Positions, actions and rewards of shapes (n_episodes, n_steps, 2 or 1)."""
    angles = rng.uniform(0, 2 * np.pi, (2, n_episodes))
    position, direction = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    current = 0.3 * direction
    positions, actions = [], []
    for left in range(n_steps, 0, -1):
        positions.append(position)
        actions.append(controller(position, current, left))
        noise = 0.1 * rng.standard_normal((n_episodes, 2))
        position = position + actions[-1] + current + noise
    positions, actions = np.stack(positions, axis=1), np.stack(actions, axis=1)
    return positions, actions, -(positions**2).sum(-1, keepdims=True)


def perfect_sailor(position, current, left):
    return -0.6 * position - current


rng = np.random.default_rng(0)
skills = rng.uniform(0.4, 1, (2000, 1))


def sailors(position, current, left):
    action = skills * perfect_sailor(position, current, left)
    return action + 0.1 * rng.standard_normal(action.shape)


positions, actions, rewards = simulate(sailors, len(skills), rng)
returns = rewards.sum(axis=(1, 2))
best = returns >= np.quantile(returns, 0.9)


# %%
# The policy
# ----------
# One token per step. What the current does shows in the order of positions and actions:
# hence a ``timescale``.


def describe(position, last_action, to_go, left):
    """Features of a step; the last is the root mean square distance asked for."""
    distance = np.sqrt(np.maximum(-to_go, 0) / left)
    features = np.concatenate([position, last_action, distance], axis=-1)
    return torch.tensor(features, dtype=torch.float32)


class Policy(nn.Module):
    def __init__(self, conditioned, d_model=48):
        super().__init__()
        self.embed = nn.Linear(5 if conditioned else 4, d_model)
        self.aaren = Aaren(d_model, n_heads=4, n_layers=2, d_ff=96, timescale=8)
        self.head = nn.Sequential(nn.LayerNorm(d_model), nn.Linear(d_model, 2))

    def forward(self, features, state=None):
        tokens = self.embed(features[..., : self.embed.in_features])
        outputs, state = self.aaren(tokens, state)
        return self.head(outputs), state


def train(features, actions, conditioned, name, n_updates=400):
    torch.manual_seed(0)
    policy = Policy(conditioned)
    optimizer = torch.optim.AdamW(policy.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=6e-3, total_steps=n_updates
    )
    for _ in trange(n_updates, desc=name, disable=None):
        batch = torch.randint(len(features), (32,))
        predicted, _ = policy(features[batch])
        loss = nn.functional.mse_loss(predicted, actions[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return policy


last_actions = np.pad(actions[:, :-1], ((0, 0), (1, 0), (0, 0)))
to_go = np.flip(np.flip(rewards, axis=1).cumsum(axis=1), axis=1)
left = np.arange(n_steps, 0, -1)[:, np.newaxis]
features = describe(positions, last_actions, to_go, left)
targets = torch.tensor(actions, dtype=torch.float32)
conditioned = train(features, targets, True, "return-conditioned")
imitator = train(features, targets, False, "imitation")
imitator_of_best = train(features[best], targets[best], False, "imitation of the best")


# %%
# At the helm
# -----------
# The state is carried from step to step, many episodes at once. All meet the same
# currents and noise.


class Helm:
    def __init__(self, policy, requested):
        self.policy, self.state = policy, None
        self.to_go = requested[:, np.newaxis]
        self.action = np.zeros((len(requested), 2))

    @torch.no_grad()
    def __call__(self, position, current, left):
        features = describe(position, self.action, self.to_go, left).unsqueeze(1)
        action, self.state = self.policy(features, self.state)
        self.action = action.squeeze(1).double().numpy()
        self.to_go = self.to_go + (position**2).sum(-1, keepdims=True)
        return self.action


def sail(controller, n_episodes=500):
    _, _, rewards = simulate(controller, n_episodes, np.random.default_rng(1))
    return rewards.sum(axis=(1, 2))


def obtained(policy, requested=0.0, n_episodes=500):
    return sail(Helm(policy, np.full(n_episodes, requested)))


target = returns[best].mean()
results = {
    "sailors on record": returns,
    "the best tenth of them": returns[best],
    "imitation": obtained(imitator),
    "imitation of the best tenth": obtained(imitator_of_best),
    f"Aaren, asked for {target:.1f}": obtained(conditioned, target),
    "perfect sailor, feels the current": sail(perfect_sailor),
}
print("\nReturn per episode:\n\n                                       mean   median")
for name, values in results.items():
    print(f"  {name:<34}{values.mean():+7.2f}  {np.median(values):+7.2f}")

# %%
# Imitation of the best needs to know what will be asked for. The conditioned network
# obtains any return, within what was on record.

requests = np.linspace(-12, -1, 12)
achieved = np.array([obtained(conditioned, requested) for requested in requests])
print("\nRequested and obtained, mean over 500 episodes:\n")
for requested, values in zip(requests, achieved, strict=True):
    print(f"  {requested:+6.1f}  {values.mean():+6.2f}")

low, high = np.quantile(returns, [0.05, 0.95])
_, axis = plt.subplots(figsize=(6, 5), layout="constrained")
axis.axvspan(low, high, color="0.9", label="90 % of the records")
axis.plot(requests, requests, color="black", linewidth=1, label="as requested")
axis.fill_between(
    requests,
    *np.quantile(achieved, [0.25, 0.75], axis=1),
    color="#0072b2",
    alpha=0.2,
    linewidth=0,
    label="half of the episodes",
)
axis.plot(requests, achieved.mean(axis=1), "o-", color="#0072b2", label="Aaren, mean")
axis.axhline(
    results["imitation"].mean(),
    color="#d55e00",
    linestyle="--",
    label="imitation, mean",
)
axis.set(xlabel="return requested", ylabel="return obtained", xlim=(-12.5, -0.5))
axis.legend(loc="lower right")
plt.savefig("policy.png", dpi=150)
