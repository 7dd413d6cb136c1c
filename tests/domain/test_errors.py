import pytest

from market_backbone.domain import errors
from market_backbone.domain.errors import (
    AllChannelsFailedError,
    ChannelError,
    ChannelTimeoutError,
    ChannelUnavailableError,
    MalformedReplyError,
    MarketDataError,
    RateLimitedError,
)


def two_failures():
    return AllChannelsFailedError(
        "no channel answered",
        [ChannelTimeoutError("too slow", channel="rest"), ChannelUnavailableError("refused", channel="websocket")],
    )


def test_every_error_has_one_root_and_is_explained():
    named = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]

    assert all(issubclass(one, MarketDataError) and one.__doc__ for one in named)
    assert len(named) == 19


def test_the_failure_of_all_channels_is_caught_by_the_root_and_names_every_cause():
    with pytest.raises(MarketDataError) as caught:
        raise two_failures()

    assert str(caught.value) == "no channel answered: rest: too slow; websocket: refused"
    assert [error.channel for error in caught.value.exceptions] == ["rest", "websocket"]


def test_the_failure_of_all_channels_is_a_group_that_except_star_takes_apart():
    seen, rest = [], None
    try:
        try:
            raise two_failures()
        except* ChannelTimeoutError as group:
            seen = list(group.exceptions)
    except ExceptionGroup as left:
        rest = left

    assert isinstance(two_failures(), ExceptionGroup)
    assert [type(error) for error in seen] == [ChannelTimeoutError]
    assert [type(error) for error in rest.exceptions] == [ChannelUnavailableError]


def test_the_group_splits_and_filters_like_any_other():
    matched, rest = two_failures().split(ChannelTimeoutError)

    assert (len(matched.exceptions), len(rest.exceptions)) == (1, 1)
    assert two_failures().subgroup(KeyError) is None
    with pytest.raises(ValueError, match="non-empty"):
        AllChannelsFailedError("none was asked", [])


def test_an_error_of_a_channel_says_whether_and_when_to_try_again():
    limited = RateLimitedError("slow down", channel="rest", retry_after=1.5)

    assert (limited.retryable, limited.retry_after, str(limited)) == (True, 1.5, "rest: slow down")
    assert not MalformedReplyError("odd", channel="rest").retryable
    assert MalformedReplyError("odd", channel="rest", retryable=True).retryable
    assert issubclass(RateLimitedError, ChannelError)
