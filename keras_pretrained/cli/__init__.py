"""The command line: `keras-pretrained list | info | fetch | verify | inspect | convert`.

Importing it, listing and looking up load no backend.
"""

from keras_pretrained.cli.main import main

__all__ = ["main"]
