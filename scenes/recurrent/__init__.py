"""Recurrent networks: back-propagation through time, and the cells that keep the error alive."""
