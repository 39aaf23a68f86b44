"""Commands and queries, noun by noun: what `rekam.Client` is made of."""
