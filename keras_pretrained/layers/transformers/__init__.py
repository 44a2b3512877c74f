"""The families of BERT and GPT-2."""
