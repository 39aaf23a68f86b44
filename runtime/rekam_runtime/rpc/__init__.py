"""gRPC: servers, channels, errors as status, forwarding of what need not be decoded."""
