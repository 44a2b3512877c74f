"""Image networks: one graph a family, with the dialect of each publisher."""
