"""The fluent API: log into the run that is active, without holding on to anything.

A log call only appends to a buffer in memory: see docs/sdk.md for what happens then.
"""
