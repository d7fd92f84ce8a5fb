"""Convolutional networks and vision."""
