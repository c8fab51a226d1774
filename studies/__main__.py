"""List the studies with their questions."""

import ast
from pathlib import Path


def main() -> None:
    """Print every study and the first line of its docstring."""
    print("Studies; run one by  python -m studies.NAME  (--help shows every setting)\n")
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if not file.stem.startswith("_"):
            question = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            print(f"  {file.stem:<20} {question.splitlines()[0]}")


if __name__ == "__main__":
    main()
