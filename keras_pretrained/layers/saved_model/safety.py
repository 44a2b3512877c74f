"""Whether a SavedModel can do anything but compute.

A graph is a program: it may read and write files, open connections, or call Python that the
process has registered. Keras refuses code in a `.keras` file unless `safe_mode=False` says that its
author is trusted. A module that is in such a file is looked through here first: if each of its
operations is on the list of harmless ones, there is nothing to be trusted.

Two kinds of files are read by honest modules: their own assets, by tables of words, and their
checkpoint. A table is harmless if the name of its file can only be that of an asset, which is
followed through the graph. Checkpoints are read and written by functions that TensorFlow puts into
every SavedModel and that nothing else calls; the loader restores by itself.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_pretrained.layers.saved_model.files import ModuleError
from keras_pretrained.layers.saved_model.graph import SavedGraph
from keras_pretrained.layers.saved_model.operations import HARMLESS, SAVERS, TABLE_FROM_FILE
from keras_pretrained.layers.saved_model.program import (
    MAIN,
    Program,
    assets,
    data_inputs,
    node_of,
)
from keras_pretrained.presets.fetching.names import UnsafeName, safe_name

_PASSING = frozenset({"Identity", "PlaceholderWithDefault"})
_SHOWN = 10


def check_harmless(saved: SavedGraph) -> None:
    """Looks through all graphs and functions of a module.

    Raises:
        ModuleError: it holds operations that are not known to be harmless; the message has them.
    """
    found = harmful(saved)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ModuleError(
            f"The model holds {saved.name}, which is a program, and some of its operations are not "
            "known to be harmless (they may read or write files, or run other code): "
            f"{', '.join(found[:_SHOWN])}{more}. If you trust its author, load it with "
            "keras.saving.load_model(path, safe_mode=False)."
        )


def harmful(saved: SavedGraph) -> list[str]:
    """What in a module is not known to be harmless: operations, and files that are no assets."""
    found = set()
    for graph in saved.proto.meta_graphs:
        for asset in assets(graph):
            try:
                safe_name(asset.filename)
            except UnsafeName:
                found.add(f"asset {asset.filename!r}")
        found |= _Inspection(Program(graph, saved.is_tf1)).harmful()
    return sorted(found)


class _Inspection:
    def __init__(self, program: Program) -> None:
        self.program = program
        self._assets_known: dict[tuple[str, str], bool] = {}

    def harmful(self) -> set[str]:
        program = self.program
        if not program.names_are_unique():
            return {"functions or nodes of the same name"}
        found = {f"function {name!r}" for name in program.functions if hasattr(tf.raw_ops, name)}
        for body, nodes in program.bodies.items():
            for node in nodes.values():
                if not self._is_harmless(body, node):
                    found.add(node.op)
        return found

    def _is_harmless(self, body: str, node: Any) -> bool:
        program = self.program
        if node.op in HARMLESS or node.op in program.functions:
            return True
        if node.op in SAVERS:
            return body in program.saver_functions or (
                body == MAIN and node.name in program.only_for_savers
            )
        if node.op in TABLE_FROM_FILE and len(data_inputs(node)) == 2:
            try:
                return self._is_asset(body, data_inputs(node)[1])
            except RecursionError:
                return False
        return False

    def _is_asset(self, body: str, tensor: str) -> bool:
        """Whether a tensor can only be the path of one of the module's assets."""
        key = (body, tensor)
        if key not in self._assets_known:
            # What leads to itself comes from nowhere.
            self._assets_known[key] = False
            self._assets_known[key] = self._comes_from_asset(body, tensor)
        return self._assets_known[key]

    def _comes_from_asset(self, body: str, tensor: str) -> bool:
        program, name = self.program, node_of(tensor)
        if body == MAIN and name in program.assets:
            # TensorFlow feeds the asset's path when it initialises. In any other run the graph
            # goes by the path that is stored in it.
            return name not in program.in_calls
        if body != MAIN and ":" not in tensor:
            return self._argument_is_asset(body, name)
        node = program.bodies[body].get(name)
        return (
            node is not None
            and node.op in _PASSING
            and len(node.input) > 0
            and self._is_asset(body, node.input[0])
        )

    def _argument_is_asset(self, function: str, name: str) -> bool:
        """Whether all that calls a function gives it an asset as this argument."""
        program = self.program
        arguments = [each.name for each in program.functions[function].signature.input_arg]
        if name not in arguments:
            return False
        position = arguments.index(name)
        given = []
        for body, node in program.callers[function]:
            if not program.is_plain_call(node, function):
                return False
            given.append(self._is_asset(body, data_inputs(node)[position]))
        bound = program.bound_object(function, position)
        if bound is not None:
            given.append(bound == "asset")
        return bool(given) and all(given)
