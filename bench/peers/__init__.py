"""The same work on MLflow, on FastTrackML and on Rekam, in one run: `make bench-peers`."""
