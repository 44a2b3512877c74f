"""Programs that compare keras_pretrained with others: `python -m benchmarks.embed`, and so on."""
