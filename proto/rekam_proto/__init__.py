"""Rekam's contracts: protos and the stubs built from them."""
