"""Graph questions against brute force."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from x0tta6bl4.mape_k.graph import Graph, cut_points, reachable, would_part
from x0tta6bl4.model import Component, Edge, Layout, Relation

NODES = [Component("node", f"n{i}") for i in range(7)]
PAIRS = list(combinations(NODES, 2))
EDGES = st.lists(st.sampled_from(PAIRS), unique=True, max_size=12)


def neighbours_of(edges):
    near = {}
    for a, b in edges:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    return near


def parts(edges, vertices):
    """Connected parts by merging: nothing in common with the code under test."""
    label = {v: v for v in vertices}
    for _ in vertices:
        for a, b in edges:
            if a in label and b in label:
                label[a] = label[b] = min(label[a], label[b])
    return label


def count(edges, vertices):
    return len(set(parts(edges, vertices).values()))


@given(EDGES, st.sampled_from(NODES))
def test_reachable_is_the_part_of_the_start(edges, start):
    label = parts(edges, NODES)
    assert reachable(neighbours_of(edges), start) == {v for v in NODES if label[v] == label[start]}


@given(EDGES, st.lists(st.sampled_from(PAIRS), max_size=4), st.booleans())
def test_would_part_is_more_parts_than_before(edges, gone, turned):
    left = [e for e in edges if e not in gone]
    asked = [(b, a) for a, b in gone] if turned else gone
    assert would_part(neighbours_of(edges), asked) == (count(left, NODES) > count(edges, NODES))


@given(EDGES)
def test_cut_points_are_what_parts_the_rest(edges):
    vertices, bridges = cut_points(neighbours_of(edges))
    touched = {v for e in edges for v in e}
    expected = set()
    for vertex in touched:
        rest = [v for v in touched if v != vertex]
        if count([e for e in edges if vertex not in e], rest) > count(edges, touched):
            expected.add(vertex)
    assert vertices == expected
    assert bridges == {
        frozenset(e) for e in edges if count([o for o in edges if o != e], touched) > count(edges, touched)
    }


def test_nothing_is_parted_by_nothing():
    assert not would_part({}, [])
    assert not would_part(neighbours_of([PAIRS[0]]), [(NODES[0], NODES[0])])
    assert cut_points({}) == (set(), set())


def test_relations_are_walked_both_ways_and_learned_once():
    a, b = NODES[:2]
    link, port = Component("link", "a>b"), Component("port", "a:1")
    layout = Layout(
        (link,),
        (),
        (
            Edge(link, Relation.FROM, a),
            Edge(link, Relation.TO, b),
            Edge(link, Relation.PART_OF, port),
            Edge(port, Relation.PART_OF, a),
        ),
    )
    graph = Graph()
    graph.learn(layout)
    version = graph.version
    graph.learn(layout)
    graph.learn(Layout((link,), (), layout.edges))
    assert graph.version == version == 4
    assert graph.walk(a, ()) == [a]
    assert graph.walk(link, ((Relation.PART_OF, False), (Relation.PART_OF, False))) == [a]
    assert graph.walk(a, ((Relation.PART_OF, True), (Relation.PART_OF, True))) == [link]
    assert graph.walk(b, ((Relation.PART_OF, True),)) == []
    assert graph.ends(link) == (a, b)
    assert graph.ends(port) is None
    assert list(graph.links) == [link]
    assert graph.adjacency([link, port]) == {a: {b}, b: {a}}


def test_a_walk_names_each_component_once():
    graph = Graph()
    a, b = NODES[:2]
    links = [Component("link", str(i)) for i in range(2)]
    graph.add(e for k in links for e in (Edge(k, Relation.FROM, a), Edge(k, Relation.TO, b)))
    assert graph.walk(a, ((Relation.FROM, True), (Relation.TO, False))) == [b]
