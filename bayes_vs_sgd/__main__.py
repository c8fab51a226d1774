"""``python -m bayes_vs_sgd report DIR`` draws a run's report again, from its folder alone."""

import argparse
import sys
from pathlib import Path

from . import report, runs


def main() -> None:
    """Read the command line and do it; bad input ends with one sentence and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m bayes_vs_sgd")
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("report", help="draw report.html again from a run folder")
    draw.add_argument("folder", type=Path, help="a run folder")
    arguments = parser.parse_args()
    try:
        print(report.write(runs.RunFolder(arguments.folder)))
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
