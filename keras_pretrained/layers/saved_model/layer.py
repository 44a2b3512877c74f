"""`SavedModelLayer`: any SavedModel as a Keras layer, TF-Hub's modules among them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
from keras.src.saving.serialization_lib import in_safe_mode

from keras_pretrained.layers.base import PretrainedLayer
from keras_pretrained.layers.depth import Stage, StageCall, State
from keras_pretrained.layers.saved_model.files import (
    KNOWN,
    ModuleError,
    ModuleFiles,
    fetched_module,
    find_module,
    private_copy,
)
from keras_pretrained.layers.saved_model.native import native_advice
from keras_pretrained.layers.saved_model.ports import (
    Port,
    Tree,
    described,
    flat,
    mapped,
    matched,
    rebuilt,
    selected,
)
from keras_pretrained.layers.saved_model.record import Choice, ModuleRecord
from keras_pretrained.layers.saved_model.variables import ModuleVariables
from keras_pretrained.layers.text.strings import with_string_tensors

if TYPE_CHECKING:
    from keras_pretrained.layers.saved_model.endpoint import Endpoint


@keras.saving.register_keras_serializable(package="keras_pretrained")
class SavedModelLayer(PretrainedLayer):
    """A function of a SavedModel as a layer, in functional models, `fit`, `.keras` and export.

    It takes SavedModels of TF2 (`tf.saved_model.save`, TF-Hub, `model.export` of Keras 3,
    `model.save` of Keras 2), SavedModels of TF1, and TF-Hub's first modules with their tags,
    tables and texts. Their variables are the layer's: they are saved with the model, and they
    train when `trainable` says so, those of TF1 too.

    Args:
        source: the folder of a SavedModel, or a TF-Hub handle (`https://tfhub.dev/...`, a model's
            page on Kaggle, `kaggle://...`), which is fetched once.
        signature: the signature to call. By default what calling the saved object does, where it
            can be called; otherwise `"default"`, `"serving_default"`, or the only one.
        output: the name of one output, where there are several; by default all, as a dictionary.
            One output alone is given as a tensor.
        trainable: whether its variables train. May be changed later; a model that was compiled
            before must be compiled again. A frozen module runs in inference mode.
        tags: of a SavedModel of TF1, the tags of the graph for inference.
        arguments: further arguments of the saved function by name, e.g. `{"dropout_rate": 0.2}`.
        output_shape: the shape of the output without the batch axis (of several: a dictionary by
            name), where the graph does not tell it.
        keep_statistics: whether variables that do not train, such as those of batch normalisations,
            stay as they are while the others train. A module that has such variables then runs in
            inference mode, and its dropout is off.
        embed: whether `.keras` files hold the module itself. With False they hold its handle and
            its hash, and a machine that loads them must have fetched it. Variables are in the
            file in both cases.

    Inputs: tensors as the function takes them; several by name. Texts have the shape (batch,) or
    (batch, 1), and may be plain Python strings outside of models. Numbers are cast to the types
    that it takes.

    Floating-point outputs have the layer's compute dtype. Inside, the module computes in the types
    that its author chose, whatever the layer's dtype.

    `info` describes the module. TensorFlow backend only.

    Raises:
        ModuleError: (a ValueError) there is no SavedModel; the signature, output or tags are not
            there; it cannot be trained though `trainable=True`. The message says what to do.
        SourceError: the handle cannot be fetched.

    Example:

    ```python
    texts = keras.Input((), dtype="string")
    embed = SavedModelLayer("https://tfhub.dev/google/nnlm-en-dim50/2", trainable=True)
    model = keras.Model(texts, keras.layers.Dense(1)(embed(texts)))
    ```
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | ModuleRecord,
        *,
        signature: str | None = None,
        output: str | None = None,
        trainable: bool = False,
        tags: Sequence[str] | None = None,
        arguments: Mapping[str, Any] | None = None,
        output_shape: Any = None,
        keep_statistics: bool = False,
        embed: bool = True,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        # The module has types of its own: inputs must reach it uncut.
        super().__init__(autocast=False, name=name, trainable=trainable, dtype=dtype)
        _check_backend(self.name)
        self.choice = Choice(signature, None if tags is None else tuple(tags), arguments or {})
        self.output_name = output
        self.keep_statistics = keep_statistics
        self.embed = embed
        self._endpoint: Endpoint | None = None
        self._files: ModuleFiles | None = None
        self._in_safe_mode = False
        if isinstance(source, ModuleRecord):
            self._in_safe_mode = in_safe_mode() is not False
            self.record = source
            self._hold_variables(source.variables)
            self._open_known()
        else:
            self._open(source, trainable, output_shape)
        selected(self.record.outputs, output, self.record.name)
        self.supports_jit = self.record.compiles
        self.declare([Stage("module", (self.held,), self._run)], 0)
        self.create()

    # --- opening ----------------------------------------------------------------------------

    def _open(self, source: str | os.PathLike[str], trainable: bool, output_shape: Any) -> None:
        from keras_pretrained.layers.saved_model.shapes import shaped_outputs

        files = find_module(source)
        if not self.embed and files.handle is None:
            raise ModuleError(
                "`embed=False` stores a handle in place of the module, and a folder has none: "
                f"another machine would not find it. Received: {files.name!r}"
            )
        endpoint = self._loaded(files, restore=True, safe=False)
        if trainable and endpoint.fixed:
            raise ModuleError(
                f"{files.name!r} cannot be trained: {endpoint.fixed}. Use trainable=False."
                f"{native_advice(files.folder)}"
            )
        outputs = shaped_outputs(endpoint, self.output_name, output_shape, files.name)
        if not endpoint.complete:
            files = files.with_state()
        self.record = ModuleRecord.of(files, endpoint, outputs)
        self._hold_variables(endpoint.variables)
        self._hold(files, endpoint)

    def _open_known(self) -> None:
        """Opens the module of a configuration, if it is on this machine and trusted by its user."""
        record = self.record
        files = KNOWN.get(record.digest)
        if files is None and record.handle is not None:
            files = fetched_module(record.handle, record.digest, record.state)
        if files is not None and files.is_unchanged():
            self._bind(files, safe=False)

    def _hold_variables(self, described: Sequence[Any]) -> None:
        with self._open_name_scope():
            self.held = ModuleVariables(described, name="variables")

    def _bind(self, files: ModuleFiles, safe: bool) -> None:
        """Lets the module's function work on the variables that the layer already has."""
        endpoint = self._loaded(files, restore=self.record.state, safe=safe)
        self.record.check(endpoint, files.name)
        endpoint.use(self.held.values())
        self._hold(files, endpoint)

    def _loaded(self, files: ModuleFiles, restore: bool, safe: bool) -> Endpoint:
        from keras_pretrained.layers.saved_model.opening import open_module

        return open_module(files, self.choice, restore=restore, safe=safe)

    def _hold(self, files: ModuleFiles, endpoint: Endpoint) -> None:
        import tensorflow as tf

        self._files, self._endpoint = files, endpoint
        KNOWN[files.digest] = files
        # Where TensorFlow finds the tables when it saves a function that uses them.
        self._resources = tf.train.Checkpoint(resources=list(endpoint.resources))

    def _ready(self) -> Endpoint:
        if self._endpoint is None:
            raise ModuleError(
                f"Layer {self.name!r} was made from a configuration, which does not hold the "
                "module itself. Load the whole model with keras.saving.load_model, or make the "
                "layer from the module."
            )
        return self._endpoint

    # --- running ----------------------------------------------------------------------------

    def build_network(self) -> None:
        """The variables came with the module."""

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs the module; texts may be plain Python strings."""
        if any(port.dtype == "string" for port in flat(self.record.inputs)):
            if isinstance(inputs, Mapping):
                inputs = {key: with_string_tensors(x, self.name) for key, x in inputs.items()}
            else:
                inputs = with_string_tensors(inputs, self.name)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, features: bool = False) -> Any:
        endpoint = self._ready()
        result = super().call(inputs, training=training, features=features)
        if self.trains(0):
            for loss in endpoint.losses():
                self.add_loss(loss())
        return result

    def begin(self, inputs: Any) -> State:
        from keras_pretrained.layers.saved_model.endpoint import converted

        tree = self.record.inputs
        tensors = zip(flat(tree), matched(tree, inputs, self.name), strict=True)
        return {f"input_{n}": converted(*each) for n, each in enumerate(tensors)}

    def _run(self, state: State, call: StageCall) -> State:
        tensors = [state[f"input_{number}"] for number in range(len(state))]
        fixed = any(not variable.trainable for variable in self.record.variables)
        training = call.training and not (self.keep_statistics and fixed)
        outputs = self._ready().run(tensors, training, trains=call.training)
        return {f"output_{number}": each for number, each in enumerate(flat(outputs))}

    def finish(self, state: State, call: StageCall) -> Any:
        leaves = [state[f"output_{number}"] for number in range(len(state))]
        outputs = mapped(self._finished, self.record.outputs, rebuilt(self.record.outputs, leaves))
        if call.features:
            return self._named(outputs)
        return selected(outputs, self.output_name, self.name)

    def _finished(self, port: Port, tensor: Any) -> Any:
        """An output with its static shape, in the layer's dtype."""
        tensor.set_shape(port.shape)
        return keras.ops.cast(tensor, self._output_dtype(port))

    def _output_dtype(self, port: Port) -> str:
        return self.compute_dtype if "float" in port.dtype else port.dtype

    def _named(self, outputs: Tree) -> dict[str, Any]:
        """All outputs by name."""
        ports, tensors = flat(self.record.outputs), flat(outputs)
        named = {port.name: tensor for port, tensor in zip(ports, tensors, strict=True)}
        if len(named) == len(tensors):
            return named
        return {f"output_{number}": tensor for number, tensor in enumerate(tensors)}

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, features: bool = False
    ) -> Any:
        # A symbolic call must fail on wrong inputs as a real one does.
        matched(self.record.inputs, inputs, self.name)
        self.remember_caller()
        specifications = mapped(self._specification, self.record.outputs)
        if features:
            return self._named(specifications)
        return selected(specifications, self.output_name, self.name)

    def _specification(self, port: Port) -> Any:
        return keras.KerasTensor(port.shape, dtype=self._output_dtype(port))

    def symbolic_inputs(self) -> Any:
        def symbol(port: Port) -> Any:
            if port.shape is None:
                raise ModuleError(f"The module does not tell the shape of its input {port}.")
            return keras.Input(batch_shape=port.shape, dtype=port.dtype, name=port.name)

        ports = flat(self.record.inputs)
        return symbol(ports[0]) if len(ports) == 1 else mapped(symbol, self.record.inputs)

    @property
    def saved_resources(self) -> Sequence[Any]:
        """Tables and the like, which a SavedModel of this layer must hold."""
        return () if self._endpoint is None else self._endpoint.resources

    # --- what it is -------------------------------------------------------------------------

    @property
    def can_train(self) -> bool:
        """Whether there is anything in the module to train."""
        return self.record.fixed is None

    @property
    def info(self) -> str:
        """What the module is, in a few lines, and whether a layer of this library reads it."""
        record, names = self.record, [each.name for each in self.record.variables]
        trained = sum(variable.trainable for variable in record.variables)
        lines = [
            f"{record.kind} {record.handle or record.name}",
            f"takes {described(record.inputs)}",
            f"gives {described(record.outputs)}",
            f"{len(names)} variables, {trained} of them trainable",
        ]
        if record.fixed:
            lines.append(f"cannot be trained: {record.fixed}")
        elif not record.takes_training:
            lines.append("trains in inference mode: it has no form of its own for training")
        if self._files is not None:
            lines.append(native_advice(self._files.folder).strip())
        return "\n".join(filter(None, lines))

    # --- saving -----------------------------------------------------------------------------

    def save_assets(self, folder: str) -> None:
        """Writes the module; Keras calls this when it saves a model."""
        if self.embed:
            self._ready()
            if self._files is not None:
                self._files.copy_to(Path(folder))

    def load_assets(self, folder: str) -> None:
        """Reads the module; Keras calls this after the layer was made from its config."""
        if self._endpoint is not None or not Path(folder).is_dir():
            return
        files = private_copy(Path(folder), self.record.name, self.record.state)
        if files.digest != self.record.digest:
            raise ModuleError(
                f"The module in the file is not the one that layer {self.name!r} was saved with: "
                f"its hash is {files.digest}. Expected {self.record.digest}. The file is damaged."
            )
        self._bind(files, safe=self._in_safe_mode)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "source": self.record.to_config(with_handle=not self.embed),
            "signature": self.choice.signature,
            "output": self.output_name,
            "tags": None if self.choice.tags is None else list(self.choice.tags),
            "arguments": dict(self.choice.arguments),
            "keep_statistics": self.keep_statistics,
            "embed": self.embed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SavedModelLayer:
        return cls(**{**config, "source": ModuleRecord.from_config(config["source"])})


def _check_backend(layer: str) -> None:
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ModuleError(
            f"Layer {layer!r} runs a graph of TensorFlow, which the Keras backend {backend} cannot "
            "run. Use KERAS_BACKEND=tensorflow, or a native layer of keras_pretrained.layers that "
            "loads the same weights: keras_pretrained.layers.saved_model.native_layer(folder)."
        )
