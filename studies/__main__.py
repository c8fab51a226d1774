"""List the studies with their questions."""

import ast
from pathlib import Path


def main() -> None:
    """Print every study and the first line of its docstring."""
    print("Studies; run one by  python -m studies.NAME  (--help shows every setting)\n")
    folder = Path(__file__).parent
    files = {file.stem: file for file in folder.glob("*.py")}
    files |= {file.parent.name: file for file in folder.glob("*/__init__.py")}
    for name, file in sorted(files.items()):
        if name.startswith("_"):
            continue
        question = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        print(f"  {name:<20} {question.splitlines()[0]}")


if __name__ == "__main__":
    main()
