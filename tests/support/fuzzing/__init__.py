"""Messages that are nearly right, by the ten thousand, and what must still hold after them."""
