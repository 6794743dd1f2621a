"""Optimizers as small update rules on flat tensors."""
