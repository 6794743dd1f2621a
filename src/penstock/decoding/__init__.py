"""From the scores of a model to the sequence that it writes."""
