"""Finding by words, and arrays as text: what search, palette and clipboard are made of, without a screen."""

import numpy as np
import pytest

from explorer.model import clips, finding, text
from explorer.model.finding import NodeIndex, fuzzy
from explorer.model.session import open_session


@pytest.fixture(scope="module")
def session():
    return open_session("lstm")


@pytest.fixture(scope="module")
def index(session):
    return NodeIndex(session)


@pytest.mark.parametrize(
    "query, words, places",
    [
        ("fold", "Unfold everything", (2, 3, 4, 5)),
        ("every un", "Unfold everything", (0, 1, 7, 8, 9, 10, 11)),
        ("FS", "Full screen", (0, 5)),
        ("u3", "u³", (0, 1)),
        ("ふぉ", "フォ", None),  # kana are not folded into each other
        ("順", "順伝播", (0,)),
        ("zz", "Zoom in", None),
        ("ab", "a" + "-" * 40 + "b", None),  # too far apart to be seen
        ("", "anything", ()),
    ],
)
def test_fuzzy_finds_letters_in_their_order(query, words, places):
    match = fuzzy(query, words)
    assert (match.places if match else None) == places


def test_better_matches_score_higher():
    ranked = ["Fold", "Fold everything", "The fold", "Unfold", "Find old one"]
    scores = [fuzzy("fold", words).score for words in ranked]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def names(session, nodes):
    return [session.trace.graph.names[n] for n in nodes]


@pytest.mark.parametrize(
    "query, first",
    [("f_2", ["f_2"]), ("f₂", ["f_2"]), ("op:sigmoid t=2", ["f_2", "i_2", "o_2"]), ("W_f", ["W_f"])],
)
def test_nodes_are_found_by_name_op_and_time(session, index, query, first):
    assert names(session, index.find(query)) == first


def test_nodes_are_found_by_scope_shape_and_kind(session, index):
    graph = session.trace.graph
    inside = index.find("scope:forget t=3")
    assert inside
    assert all("forget" in graph.scopes[n] and graph.times[n] == 3 for n in inside)
    matrices = index.find("2x2")
    assert matrices == index.find("shape:2×2") == index.find("2×2")
    assert matrices == [n for n in range(len(graph)) if graph.values[n].shape == (2, 2)]
    assert set(index.find("parameter")) >= {n for n in range(len(graph)) if graph.kinds[n] == "parameter"}
    assert session.trace.loss in index.find("loss")


def test_a_whole_name_comes_before_a_part_of_one(session, index):
    found = names(session, index.find("c"))
    assert found.index("c_1") < found.index("W_c")


@pytest.mark.parametrize("query", ["", "   ", "t=99", "op:nothing", "no such node", "shape:9x9"])
def test_nothing_is_found_where_nothing_is(index, query):
    assert index.find(query) == []


def test_search_speaks_both_languages(session):
    text.set_language("ja")
    japanese = NodeIndex(session)
    assert japanese.find("忘却ゲート t=2") == NodeIndex(session).find("forget t=2") != []
    assert set(japanese.find("パラメータ")) == set(japanese.find("parameter"))
    assert japanese.fits(session)
    text.set_language("en")
    assert not japanese.fits(session)


def test_what_hides_a_node(session):
    node = session.recording["f_2"].id
    path = finding.scope_of(session.topology, node)
    assert finding.outward(path) == [path, path.rpartition("/")[0], path.partition("/")[0]]
    assert finding.hidden_by(session, node) == {path}
    assert finding.hides(session, path)
    assert not finding.hides(session, "lstm/t=2")


def test_numpy_code_makes_the_same_array_again():
    rng = np.random.default_rng(1)
    for array in (
        rng.normal(size=(3, 4)),
        rng.normal(size=(40, 50)),
        np.array(2.5),
        np.array([np.nan, np.inf]),
    ):
        names = {"np": np, "nan": np.nan, "inf": np.inf, "array": np.array}
        code = clips.as_numpy(array)
        assert code.startswith("np.array(")
        tree = compile(code, "clipboard", "eval")
        assert np.array_equal(eval(tree, names), array, equal_nan=True)


def test_csv_and_text_keep_every_digit():
    a = np.array([[1 / 3, -2.0], [np.nan, 1e-300]])
    assert clips.as_csv(a) == "0.3333333333333333,-2.0\nnan,1e-300"
    assert clips.as_plain(a) == clips.as_csv(a).replace(",", "\t")
    assert clips.as_csv(np.array([1.0, 2.0])) == "1.0\n2.0"
    assert clips.as_csv(np.array(3.0)) == "3.0"
    assert clips.as_csv(np.zeros((2, 1, 2))) == "0.0,0.0\n\n0.0,0.0"


def test_latex():
    assert clips.as_latex(np.array(-0.25)) == "-0.25"
    assert clips.as_latex(np.array(1.5e-7)) == r"1.5 \times 10^{-7}"
    assert clips.as_latex(np.array([1.0, np.inf])) == r"\begin{pmatrix} 1 \\ \infty \end{pmatrix}"
    a = np.array([[1.0, 0.33333], [np.nan, -np.inf]])
    assert clips.as_latex(a) == r"\begin{pmatrix} 1 & 0.3333 \\ \mathrm{NaN} & -\infty \end{pmatrix}"
    assert clips.as_latex(np.zeros((2, 1, 1))).count("pmatrix") == 4


def test_number_styles():
    try:
        text.set_number_style("fixed")
        assert [text.number(x, 3) for x in (0.12345, -2.0, 1e-7)] == ["0.123", "−2.000", "0.000"]
        text.set_number_style("scientific")
        assert text.number(0.12345, 4) == "1.23e−1"
        with pytest.raises(ValueError, match="number style"):
            text.set_number_style("roman")
        assert text.number(0.0) == "0"
    finally:
        text.set_number_style("automatic")
    assert text.number(0.12345, 4) == "0.1235"


@pytest.mark.parametrize(
    "path, en, ja",
    [
        ("birnn/forward", "forwards", "順方向"),
        ("birnn/backward", "backwards", "逆方向"),
        ("net/penalty", "penalty", "正則化"),
        ("gru/t=2/reset", "reset gate", "リセットゲート"),
        ("gru/t=2/update", "update gate", "更新ゲート"),
        ("gru/t=2/relevance", "relevance gate", "関連ゲート"),
        ("net/reset", "reset", "reset"),  # outside of time steps it is nobody's gate
        ("lstm/t=12", "t = 12", "t = 12"),
        ("net/layer3", "layer 3", "第 3 層"),
        ("initial ←", "initial state ←", "初期状態 ←"),
        ("clip", "clip", "クリップ"),
        ("update", "update", "更新"),
    ],
)
def test_scopes_have_names_in_both_languages(path, en, ja):
    assert text.scope_title(path) == en
    text.set_language("ja")
    assert text.scope_title(path) == ja
