"""SavedModels and TF-Hub modules as Keras layers."""

from keras_pretrained.layers.saved_model.files import ModuleError, find_module
from keras_pretrained.layers.saved_model.layer import SavedModelLayer
from keras_pretrained.layers.saved_model.native import native_layer

__all__ = ["ModuleError", "SavedModelLayer", "find_module", "native_layer"]
