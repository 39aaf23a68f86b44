"""Whether writers live: runs whose writers have all fallen silent have crashed, and may come back."""
