"""The body of an answer is unpacked piece by piece, within its bound, and nothing is mended."""

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_backbone.infrastructure.http_transport import GzipBody

TEXT = b'[{"market":"KRW-BTC","trade_price":131286000.00000000}]' * 100
PACKED = gzip.compress(TEXT)


def unpacked(pieces, encoding="gzip", limit=1_000_000):
    gzip_body = GzipBody(encoding, limit)
    for piece in pieces:
        gzip_body.take(piece)
        if gzip_body.is_too_large:
            return None
    return gzip_body.body()


@given(cuts=st.lists(st.integers(0, len(PACKED)), max_size=8))
def test_it_is_the_same_however_it_was_cut(cuts):
    places = [0, *sorted(cuts), len(PACKED)]
    assert unpacked([PACKED[a:b] for a, b in pairwise(places)]) == TEXT


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_what_was_not_packed_is_taken_as_it_is(encoding):
    assert unpacked([TEXT[:7], TEXT[7:]], encoding) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", ""])
def test_an_empty_answer_is_empty_whatever_its_header_says(encoding):
    assert unpacked([], encoding) == b""


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_what_was_not_asked_for_is_refused(encoding):
    with pytest.raises(zlib.error, match="only gzip was asked for"):
        GzipBody(encoding, 100)


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([PACKED[:-1]], "its end is missing"),
        ([PACKED[:20]], "its end is missing"),
        ([PACKED, b"x"], "goes on after its end"),
        ([PACKED + b"x"], "goes on after its end"),
        ([PACKED + PACKED], "goes on after its end"),
        ([TEXT], "incorrect header"),
        ([PACKED[:-5] + b"?" + PACKED[-4:]], "incorrect data check"),
    ],
)
def test_what_gzip_does_not_make_is_broken(pieces, why):
    with pytest.raises(zlib.error, match=why):
        unpacked(pieces)


def test_a_body_of_just_the_limit_is_not_too_large():
    assert unpacked([PACKED], limit=len(TEXT)) == TEXT
    assert unpacked([TEXT], "", limit=len(TEXT)) == TEXT


@pytest.mark.parametrize(("piece", "encoding"), [(PACKED, "gzip"), (TEXT, "")])
def test_one_byte_more_than_the_limit_is_too_large(piece, encoding):
    assert unpacked([piece], encoding, limit=len(TEXT) - 1) is None


def test_a_bomb_is_held_to_one_byte_beyond_the_limit():
    gzip_body = GzipBody("gzip", 1000)
    gzip_body.take(gzip.compress(b"\0" * 10_000_000))

    assert gzip_body.is_too_large
    assert len(gzip_body._body) == 1001


def test_packing_that_makes_nothing_is_bounded_as_well():
    noise = zlib.compressobj(0, zlib.DEFLATED, 31)
    head = noise.compress(b"") + noise.flush(zlib.Z_SYNC_FLUSH)
    gzip_body = GzipBody("gzip", 1000)
    gzip_body.take(head)
    for _ in range(300):
        gzip_body.take(noise.flush(zlib.Z_FULL_FLUSH) or b"\0\0\0\xff\xff")

    assert gzip_body.is_too_large
