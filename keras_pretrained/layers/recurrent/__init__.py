"""ELMo and ULMFiT: encoders of LSTMs."""
