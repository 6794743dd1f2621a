"""Stored examples: reading, splits, preprocessing, augmentation, named sets."""
