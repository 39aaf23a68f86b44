"""The event log: its port, the JetStream adapter and the in-memory twin."""
