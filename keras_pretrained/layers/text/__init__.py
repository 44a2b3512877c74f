"""What all text layers share: texts and ids in, hidden states out, and what a source says."""
