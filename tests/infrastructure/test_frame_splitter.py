"""The splitter keeps whole plain messages, and hands everything else on as it came, in its order."""

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from market_backbone.infrastructure.frame_splitter import FrameSplitter

LIMIT = 70_000


def wire(opcode, data=b"", *, fin=True, rsv1=False, mask=False):
    """A frame as it is sent."""
    sent = Frame(opcode, data, fin=fin).serialize(mask=mask)
    return bytes([sent[0] | 0x40 * rsv1]) + sent[1:]


def cut(*parts, limit=LIMIT):
    """What a splitter keeps and hands on of bytes that come in these parts, in its order."""
    told = []
    splitter = FrameSplitter(
        limit, lambda body: told.append(("kept", body)), lambda more: told.append(("on", bytes(more)))
    )
    for part in parts:
        splitter.feed(part)
    return told


def pieces(data, cuts):
    """The same bytes in parts."""
    ends = sorted({min(end, len(data)) for end in cuts} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


bodies = st.one_of(st.binary(max_size=200), st.sampled_from([b"x" * 125, b"x" * 126, b"y" * 65_535, b"z" * 65_536]))
frames = st.one_of(
    st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), bodies, st.just({})),
    st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125), st.just({})),
    st.tuples(st.just(Opcode.BINARY), st.binary(max_size=50), st.just({"rsv1": True})),
)


@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 3000), max_size=20))
def test_however_the_bytes_arrive_each_frame_is_kept_or_handed_on_whole_and_in_order(sent, cuts):
    expected = [
        ("kept", data)
        if opcode in {Opcode.TEXT, Opcode.BINARY} and not options
        else ("on", wire(opcode, data, **options))
        for opcode, data, options in sent
    ]
    stream = b"".join(wire(opcode, data, **options) for opcode, data, options in sent)

    assert cut(*pieces(stream, cuts)) == expected


@given(st.lists(st.binary(max_size=20), min_size=2, max_size=5), st.lists(st.integers(0, 100), max_size=9))
def test_a_message_in_pieces_is_handed_on_and_a_whole_one_inside_it_too(parts, cuts):
    first, *rest = parts
    sent = [wire(Opcode.TEXT, first, fin=False)]
    sent += [wire(Opcode.CONT, part, fin=False) for part in rest]
    sent += [wire(Opcode.TEXT, b"against the rules"), wire(Opcode.PING), wire(Opcode.CONT, b"end")]

    told = cut(*pieces(b"".join([*sent, wire(Opcode.TEXT, b"whole")]), cuts))

    inside = sent.index(wire(Opcode.TEXT, b"against the rules"))
    assert told[: inside + 1] == [("on", frame) for frame in sent[: inside + 1]]


def test_after_the_end_of_a_message_in_pieces_whole_ones_are_kept_again():
    sent = [wire(Opcode.TEXT, b"a", fin=False), wire(Opcode.PING), wire(Opcode.CONT, b"b")]

    assert cut(b"".join([*sent, wire(Opcode.TEXT, b"whole")])) == [*(("on", one) for one in sent), ("kept", b"whole")]


def test_after_a_masked_frame_or_one_that_is_too_large_all_the_rest_is_handed_on():
    for bad in (wire(Opcode.TEXT, b"hidden", mask=True), wire(Opcode.BINARY, b"x" * 101)):
        rest = wire(Opcode.TEXT, b"after")

        told = cut(wire(Opcode.TEXT, b"before") + bad, rest, limit=100)

        assert told[0] == ("kept", b"before")
        assert b"".join(body for what, body in told[1:] if what == "on") == bad + rest
        assert all(what == "on" for what, _ in told[1:])


def test_a_frame_that_claims_to_be_huge_is_handed_on_before_anything_of_it_is_held():
    head = b"\x82\x7f" + (1 << 62).to_bytes(8)

    assert cut(head, b"x", limit=100) == [("on", head), ("on", b"x")]


def test_after_the_last_word_nothing_is_kept():
    close, rest = wire(Opcode.CLOSE, b"\x03\xe8"), wire(Opcode.TEXT, b"too late")

    told = cut(close + rest)

    assert all(what == "on" for what, _ in told)
    assert b"".join(body for _, body in told) == close + rest


def test_after_a_broken_rule_nothing_is_kept_any_more():
    kept, handed = [], []

    def judge(data):
        handed.append(data)
        splitter.give_up()

    splitter = FrameSplitter(1000, kept.append, judge)
    broken, plain = bytes([0xC1, 1, 65]), bytes([0x81, 1, 66])
    splitter.feed(plain + broken + plain + plain)
    splitter.feed(plain)
    assert (kept, b"".join(handed)) == ([b"B"], broken + plain * 3)
