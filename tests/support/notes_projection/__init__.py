"""A tiny projection for tests: every record's text becomes a row of `notes`."""
