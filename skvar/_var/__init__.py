"""Vector autoregressions: matrices out of a network, and what follows from these."""
