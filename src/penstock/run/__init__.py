"""Executes a recipe into a folder, and loads the folder back."""
