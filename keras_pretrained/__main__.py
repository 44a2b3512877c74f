"""`python -m keras_pretrained`: the command line."""

from __future__ import annotations

import sys

from keras_pretrained.cli import main

if __name__ == "__main__":
    sys.exit(main())
