"""The words of the project: plain English as in GLOSSARY.md."""

import re
import subprocess

from frozen import ROOT

# This file must spell the words that no other file may use.
OWN = "tests/test_language.py"
WORDS = "taught told asked leavers mended twin he his him".split()
# Identifiers count: the parts of a snake_case name are words too.
FORBIDDEN = re.compile(rf"(?<![a-z0-9])({'|'.join(WORDS)})(?![a-z0-9])", re.IGNORECASE)
BLOCKQUOTE = re.compile(r"^\s*>")
QUOTATION = re.compile(r'"[^"]*"')


def offending(line: str, path: str) -> list[str]:
    """The forbidden words of a line, outside quotations in blockquotes of Markdown."""
    if path.endswith(".md") and BLOCKQUOTE.match(line):
        line = QUOTATION.sub("", line)
    return FORBIDDEN.findall(line)


def test_no_python_or_markdown_file_uses_a_word_that_the_glossary_replaces() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    paths = [path for path in listed if path and path != OWN and (ROOT / path).is_file()]
    assert len(paths) > 100
    offenders = [f"{path}: file name" for path in paths if FORBIDDEN.search(path)]
    for path in paths:
        text = (ROOT / path).read_text(encoding="utf-8")
        offenders += [
            f"{path}:{number} {' '.join(words)}"
            for number, line in enumerate(text.splitlines(), 1)
            if (words := offending(line, path))
        ]
    assert not offenders, "use the words of GLOSSARY.md:\n" + "\n".join(offenders)


def test_a_word_counts_in_names_and_outside_quotations_only() -> None:
    assert offending("def test_what_he_is_told() -> None:", "a.py") == ["he", "told"]
    assert offending("The others saw this theory.", "a.md") == []
    assert offending('> "He said so", wrote Told', "a.md") == ["Told"]
    assert offending('"He said so"', "a.md") == ["He"]
    assert offending('> "He said so"', "a.py") == ["He"]
