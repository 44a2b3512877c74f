"""How every command is declared, so that each `--help` has the same parts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

Commands = argparse._SubParsersAction


def add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    description: str,
    examples: Mapping[str, str],
) -> argparse.ArgumentParser:
    """Adds one command.

    Args:
        commands: the parser's commands.
        name: the word that selects it.
        run: takes the parsed arguments, prints, and returns the exit code.
        summary: one line, for the list of commands.
        description: what it prints and when it fails.
        examples: command line -> what it does.
    """
    width = max(map(len, examples))
    lines = [f"  {line:<{width}}  {meaning}".rstrip() for line, meaning in examples.items()]
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog="\n".join(["examples:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # Scripts must not break when a later version adds an option.
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser
