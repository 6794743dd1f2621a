"""Plain networks that know nothing of training."""
