"""One file for each kind of data: infer, read, preprocess, default model, draw for the report."""
