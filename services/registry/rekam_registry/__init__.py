"""The registry service: registered models, their versions, stages and aliases."""
