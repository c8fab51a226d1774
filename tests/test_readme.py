import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
SNIPPETS = {
    f"{name}-{number}": snippet
    for name, text in TEXTS.items()
    for number, snippet in enumerate(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
}


# Those of the guides take longer, and the README is what people try first.
EVERY = [
    name if name.startswith("README") else pytest.param(name, marks=pytest.mark.slow)
    for name in SNIPPETS
]


@pytest.mark.parametrize("name", EVERY)
def test_every_snippet_of_the_pages_runs(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SNIPPETS[name]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", TEXTS)
def test_every_module_that_a_page_runs_is_there(name: str) -> None:
    for module in set(re.findall(r"python -m ([\w.]+)", TEXTS[name])):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@pytest.mark.parametrize("name", TEXTS)
def test_every_file_that_a_page_links_is_there(name: str) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", TEXTS[name]):
        assert ((ROOT / name).parent / target).exists(), target
