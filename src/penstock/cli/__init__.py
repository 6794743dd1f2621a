"""The command line: verbs, and flags derived from the types of the recipes."""
