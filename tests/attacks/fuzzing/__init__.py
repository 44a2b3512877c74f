"""Structure-aware fuzzing: damage that gets past checksums and lengths, under guard."""
