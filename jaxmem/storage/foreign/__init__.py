"""Trials that others trained."""
