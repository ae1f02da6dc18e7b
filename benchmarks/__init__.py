"""Benchmarks of skaae: README.md says what each folder measures, and the Makefile runs them."""
