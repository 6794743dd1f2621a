"""How outputs of sequence models become sequences: sampling, beam search, CTC decoding."""
