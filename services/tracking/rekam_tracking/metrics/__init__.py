"""Metrics: points as they arrive, as they are stored and as they are read."""
