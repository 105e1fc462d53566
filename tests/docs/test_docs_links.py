"""Every link of every document leads somewhere, and every document can be found from the index."""

import pytest
from pages import PAGES, ROOT, anchors, links, name

INDEX = ROOT / "docs/README.md"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_and_anchor_leads_somewhere(page):
    dead = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and found.suffix == ".md" and anchor not in anchors(found)):
            dead.append(target)
    assert dead == []


def test_every_document_is_in_the_index():
    listed = {(INDEX.parent / target.partition("#")[0]).resolve() for target in links(INDEX)}
    missing = [name(page) for page in PAGES if page.parent.is_relative_to(INDEX.parent) and page != INDEX]
    assert [page for page in missing if ROOT / page not in listed] == []


def test_links_out_of_the_repository_are_encrypted():
    assert [target for page in PAGES for target in links(page) if target.startswith("http://")] == []
