"""The parts that pretrained networks are made of."""
