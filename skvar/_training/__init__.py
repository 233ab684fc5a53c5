"""From a network and examples to a trained network, and on to its forecasts."""
