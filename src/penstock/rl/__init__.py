"""Environments, and the sources of batches that come from acting in them."""
