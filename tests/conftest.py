"""What every test shares."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parity.recording import Record
from tests.parity.rows import ROWS
from tests.parity.table import render

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# No test reaches another machine; those of fetching serve themselves.
os.environ["KERAS_PRETRAINED_OFFLINE"] = "1"

_RECORD = pytest.StashKey[Record]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--parity-table", metavar="FILE", help="write what the parity tests measured, as a table"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RECORD] = Record()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Random numbers do not depend on which tests ran before in the same process."""
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(7)


@pytest.fixture(scope="session")
def parity(request: pytest.FixtureRequest) -> Record:
    """Compares with a foreign program's numbers and records the difference; see tests/parity."""
    return request.config.stash[_RECORD]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Adds what one of several parallel processes measured."""
    node.config.stash[_RECORD].add(node.workeroutput.get("parity", {}))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Writes the parity table, if it was asked for and every row was measured."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["parity"] = session.config.stash[_RECORD].plain()
        return
    path = session.config.getoption("--parity-table")
    if path is None or exitstatus != pytest.ExitCode.OK:
        return
    results = session.config.stash[_RECORD].texts()
    absent = [name for name in ROWS if not results.get(name)]
    if absent:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.line(f"\n{path} was not written. Not measured: {', '.join(absent)}", red=True)
        return
    Path(path).write_text(render(results), encoding="utf-8")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a parity test may skip only because its input is absent.

    Such a skip says so in its reason (`absent: ...`); any other one is a failure, so that a
    promise about numbers cannot fall silent.
    """
    outcome = yield
    report = outcome.get_result()
    if (
        report.skipped
        and os.environ.get("KERAS_PRETRAINED_CI")
        and item.get_closest_marker("parity")
    ):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        if "absent:" not in reason:
            report.outcome = "failed"
            report.longrepr = f"A parity test skipped although its input is there. {reason}"
