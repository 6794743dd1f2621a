"""Metrics computed on tensors."""
