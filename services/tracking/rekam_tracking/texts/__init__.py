"""Text streams of runs: lines of the console, diffs."""
