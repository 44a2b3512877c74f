"""The honest files that attacks begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.fuzzing.seeds import write_seeds


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_seeds(tmp_path_factory.mktemp("seeds"))
