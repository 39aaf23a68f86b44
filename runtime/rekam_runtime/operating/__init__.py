"""What operators ask of a service's projection: its quarantine, and rebuilds."""
