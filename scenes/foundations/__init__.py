"""Feed-forward networks and the pieces that everything else is built from."""
