"""What the documents contain: their fenced blocks, headings and links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block. output: the text of a `text` block that follows it at once, None where there is none."""

    language: str
    text: str
    line: int
    output: str | None = None


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    """Every fenced block; a `text` block that directly follows another block is that one's output."""
    source = page.read_text(encoding="utf-8")
    found = list(FENCE.finditer(source))
    read = []
    for place, match in enumerate(found):
        language, text = match[3].strip(), match[4]
        before = found[place - 1] if place else None
        follows = before is not None and not source[before.end() : match.start()].strip()
        if language == "text" and follows and read[-1].language in ("python", "sh"):
            read[-1] = Block(read[-1].language, read[-1].text, read[-1].line, text)
        else:
            read.append(Block(language, text, source.count("\n", 0, match.start()) + 1))
    return read


def prose(page):
    """The page without its fenced blocks and its code spans."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))


def links(page):
    """Targets of links and pictures, inline ones, bare in angle brackets left out."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page):
    """The anchors that GitHub makes of a page's headings."""
    seen, found = {}, set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return found
