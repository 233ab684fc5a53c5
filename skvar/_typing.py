"""What public functions take, by one name each in their annotations."""

import os
from collections.abc import Hashable, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

# Times in rows and series in columns. What is made of a table comes in its container.
Table: TypeAlias = pd.Series | pd.DataFrame | np.ndarray
# A table, or one of each instance: rows with a MultiIndex, an array of three axes, or
# a list.
Panel: TypeAlias = Table | list[pd.DataFrame]

# Labels of series or shocks.
Names: TypeAlias = Sequence[Hashable] | pd.Index

PathLike: TypeAlias = str | os.PathLike[str]
Seed: TypeAlias = int | np.random.RandomState | None
