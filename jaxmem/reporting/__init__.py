"""Estimates as tables, figures and files for others; computes nothing."""
