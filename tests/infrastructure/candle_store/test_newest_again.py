"""The newest rows, asked for again and again, are read once, and never older than the last write."""

import pytest

from market_backbone.infrastructure.candle_store import transactions
from market_backbone.infrastructure.candle_store.ledger_cache import MAX_ANSWERS, MAX_ROWS


@pytest.fixture
def reads(monkeypatch):
    """The counts that were read from the file, in order."""
    seen, read_newest = [], transactions.read_newest

    def counting(tables, key, count, span):
        seen.append(count)
        return read_newest(tables, key, count, span)

    monkeypatch.setattr(transactions, "read_newest", counting)
    return seen


async def test_the_same_question_is_read_once_while_nobody_writes(opened, pages, reads):
    async with opened() as store:
        await store.write(pages.page(0, 100))
        assert not store.ledger(pages.KEY).is_empty

        first = await store.read_newest(pages.KEY, 20, pages.span(0, 100))
        again = await store.read_newest(pages.KEY, 20, pages.span(0, 100))
        fewer = await store.read_newest(pages.KEY, 10, pages.span(0, 100))

    assert reads == [20, 10]
    assert again == first
    assert again.coverage == first.coverage
    assert list(fewer) == list(first)[-10:]


@pytest.mark.parametrize("is_another_process", [False, True])
async def test_what_anybody_writes_is_seen_at_once(opened, pages, is_another_process):
    async with opened() as store, opened() as other:
        await store.write(pages.page(0, 100))
        assert not store.ledger(pages.KEY).is_empty
        before = [await store.read_newest(pages.KEY, 20, pages.span(0, 120)) for _ in range(2)]
        await (other if is_another_process else store).write(pages.page(100, 120))
        after = await store.read_newest(pages.KEY, 20, pages.span(0, 120))
        truth = await other.read_newest(pages.KEY, 20, pages.span(0, 120))

    assert before[0] == before[1]
    assert after == truth
    assert after != before[0]


async def test_what_was_handed_out_may_be_changed_and_changes_nothing(opened, pages):
    async with opened() as store:
        await store.write(pages.page(0, 100))
        assert not store.ledger(pages.KEY).is_empty
        for _ in range(3):
            given = await store.read_newest(pages.KEY, 20, pages.span(0, 100))
            assert given[0].opened_at >= pages.START
            given.columns.opened[0] = 0


async def test_only_a_few_short_answers_are_remembered(opened, pages, reads):
    async with opened() as store:
        await store.write(pages.page(0, MAX_ROWS * 4))
        assert not store.ledger(pages.KEY).is_empty
        span = pages.span(0, MAX_ROWS * 4)
        for count in (*range(1, MAX_ANSWERS + 2), 1, MAX_ROWS * 2, MAX_ROWS * 2):
            await store.read_newest(pages.KEY, count, span)

    assert reads[-3:] == [1, MAX_ROWS * 2, MAX_ROWS * 2]
    assert len(reads) == MAX_ANSWERS + 4
