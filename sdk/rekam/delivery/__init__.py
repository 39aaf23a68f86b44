"""From the spool to the server: one gRPC stream, acknowledged record by record."""
