"""Names of components: made and taken apart."""

from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.model import Component, Relation
from x0tta6bl4.network import names

name = st.text("abcn0123456789-._", min_size=1, max_size=8)


@given(name, name, name, name)
def test_links_and_pairs_are_taken_apart_again(a, i, b, j):
    assert names.ends(names.link(a, i, b, j)) == ((a, i), (b, j))
    assert set(names.ends(names.adjacency(a, i, b, j))) == {(a, i), (b, j)}
    assert names.adjacency(a, i, b, j) == names.adjacency(b, j, a, i)
    for component in (names.link(a, i, b, j), names.interface(a, i), names.node(a)):
        assert names.owner(component) == a
        assert Component.parse(str(component)) == component


def test_the_texts_of_the_vocabulary():
    assert [
        str(c)
        for c in (
            names.node("n1"),
            names.interface("n1", "v1-2"),
            names.link("n1", "v1-2", "n2", "v2-1"),
            names.adjacency("n2", "v2-1", "n1", "v1-2"),
            names.route("n2", "n5"),
            names.told("n2", "n5"),
        )
    ] == [
        "node/n1",
        "interface/n1:v1-2",
        "link/n1:v1-2>n2:v2-1",
        "adjacency/n1:v1-2<>n2:v2-1",
        "route/n2>n5",
        "told/n2>n5",
    ]


def test_the_relations_of_a_link():
    edges = names.link_edges("n1", "a", "n2", "b")
    link = names.link("n1", "a", "n2", "b")
    assert {(e.relation, str(e.target)) for e in edges if e.source == link} == {
        (Relation.FROM, "node/n1"),
        (Relation.TO, "node/n2"),
        (Relation.PART_OF, "interface/n1:a"),
        (Relation.PART_OF, "interface/n2:b"),
        (Relation.PART_OF, "adjacency/n1:a<>n2:b"),
    }
    assert {(str(e.source), str(e.target)) for e in edges if e.source != link} == {
        ("interface/n1:a", "node/n1"),
        ("interface/n2:b", "node/n2"),
    }
