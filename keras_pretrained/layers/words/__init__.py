"""Tables of word vectors."""
