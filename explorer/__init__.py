"""Backstep, the application: a model without a screen, and a view on it."""
