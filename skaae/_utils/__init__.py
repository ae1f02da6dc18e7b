"""Helpers for optional packages, warnings and links to the documentation."""
