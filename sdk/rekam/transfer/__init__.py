"""Moves files between this machine and the artifact store: many at once, resumed, verified."""
