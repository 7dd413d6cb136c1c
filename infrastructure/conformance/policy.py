"""The contract of a routing policy: a pure table that says why."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import copy

import pytest
from attrs import evolve

from ...domain.capabilities import Capabilities
from ...domain.errors import UnsupportedRequestError
from ...domain.request import AnyRequest, RealtimeRequest
from ...domain.routing import POLL, REFRESH, STREAM, ChannelView, CircuitState, RoutePlan, RouteStep, StepStatus
from .policy_cases import VIEWS, declares, of_another_venue, prefix_of, questions, view_sets, with_circuit
from .promises import pure_promise, refused, require, require_equal
from .targets import PolicyUnderTest


class RoutingPolicyContract:
    """The promises P-01 to P-13. Override ``subject``."""

    @pytest.fixture
    def subject(self) -> PolicyUnderTest:
        """Return the policy to test."""
        pytest.fail("override the fixture 'subject': return PolicyUnderTest(YourPolicy())")

    @pytest.fixture
    def under_test(self, subject: PolicyUnderTest) -> PolicyUnderTest:
        """Let the policy plan with the channels of the kit, unless the subject brings its own."""
        return subject if subject.views else evolve(subject, views=VIEWS)

    @pure_promise()
    def test_p01_name(self, under_test: PolicyUnderTest) -> None:
        """P-01: A policy has a name, and every plan carries it.

        Do: plan every question of the kit, with open and closed circuits.
        Pass: the name is not empty and stays the same; `plan.policy` is the name; at least one question is planned.
        """
        name = under_test.policy.name
        require(name, "its name is empty")
        found = {plan.policy for _, _, plan in _plans(under_test)}
        require_equal(found, {name}, "the policy that plans name")
        require_equal(under_test.policy.name, name, "its name afterwards")

    @pure_promise()
    def test_p02_deterministic(self, under_test: PolicyUnderTest) -> None:
        """P-02: The same request and the same views bring the same plan.

        Do: plan every question twice, in between all the others.
        Pass: the plans are equal.
        """
        for (request, views, first), (_, _, again) in zip(_plans(under_test), list(_plans(under_test)), strict=True):
            require(first == again, f"{request} of {_names(views)}: first\n{first}\nthen\n{again}")

    @pure_promise()
    def test_p03_changes_nothing(self, under_test: PolicyUnderTest) -> None:
        """P-03: A policy changes nothing that it is given.

        Do: plan with a list of views, and compare it with a copy.
        Pass: the list holds the same views in the same order.
        """
        for request, views in _cases(under_test):
            before = [copy(view) for view in views]
            with suppress(UnsupportedRequestError):
                under_test.policy.plan(request, views)
            require(views == before, f"{request} has changed the views")

    @pure_promise()
    def test_p04_only_declared(self, under_test: PolicyUnderTest) -> None:
        """P-04: A plan names only channels that are there and declare what is asked of them.

        Do: plan every question.
        Pass: every step's channel is among the views, and its capabilities name the kind and the timeframe.
        """
        for request, views, plan in _plans(under_test):
            able = {view.name for view in views if declares(view, request)}
            require(set(plan.channels) <= able, f"{request} can be served by {able}, the plan names {plan.channels}")

    @pure_promise()
    def test_p05_once(self, under_test: PolicyUnderTest) -> None:
        """P-05: No channel is asked twice for one answer.

        Do: plan every question.
        Pass: no channel has two steps of the same role: one that joins the next, one that answers.
        """
        for request, _, plan in _plans(under_test):
            roles = [(step.channel, step.joins_next) for step in plan.steps]
            require(len(roles) == len(set(roles)), f"{request} asks a channel twice:\n{plan}")

    @pure_promise()
    def test_p06_reasons(self, under_test: PolicyUnderTest) -> None:
        """P-06: A plan says what was asked, which rule decided and why, and every step says what it does and why.

        Do: plan every question.
        Pass: `request` is the request's text; rule, reason, actions and reasons are not empty; there is a step.
        """
        for request, _, plan in _plans(under_test):
            require_equal(plan.request, str(request), "the request that the plan names")
            require(plan.steps, f"{request} has a plan without a step; raise UnsupportedRequestError")
            texts = [plan.rule, plan.reason, *(text for step in plan.steps for text in (step.action, step.reason))]
            require(all(texts), f"something has no reason:\n{plan}")

    @pure_promise()
    def test_p07_nothing_has_happened(self, under_test: PolicyUnderTest) -> None:
        """P-07: A plan tells of nothing that has happened.

        Do: plan every question.
        Pass: each step is PLANNED or SKIPPED, without rows, latency, retries or error; no calls of free channels.
        """
        for _, views, plan in _plans(under_test):
            free = {view.name for view in views if view.capabilities.calls_are_free}
            for step in plan.steps:
                require(step.status in {StepStatus.PLANNED, StepStatus.SKIPPED}, f"{step!r} has happened already")
                happened = (step.rows, step.latency_ms, step.retries, step.waited_ms, step.error)
                require(not any(happened), f"{step!r} has happened already")
                is_right = step.calls == 0 if step.channel in free else step.calls >= 0
                require(is_right, f"{step!r} costs {step.calls} calls")

    @pure_promise()
    def test_p08_open_circuits(self, under_test: PolicyUnderTest) -> None:
        """P-08: A channel whose circuit is open is not asked, unless nobody else could answer.

        Do: plan every question with every combination of open circuits; and with a probe on its way.
        Pass: where a usable channel is planned to answer, all that are not usable are SKIPPED or left out; where
            there is none, somebody is PLANNED all the same.
        """
        for request, views, plan in _plans(under_test):
            usable = {view.name for view in views if view.is_usable}
            planned = {step.channel for step in _answering(plan)}
            require(planned, f"{request}: nobody is planned to answer:\n{plan}")
            is_mixed = planned & usable and planned - usable
            require(not is_mixed, f"{request}: the circuit of {planned - usable} is open:\n{plan}")

    @pure_promise()
    def test_p09_unsupported(self, under_test: PolicyUnderTest) -> None:
        """P-09: What nobody declares is refused with UnsupportedRequestError.

        Do: plan every question without channels, and with channels that declare nothing.
        Pass: each is refused.
        """
        unable = [ChannelView(name=view.name, capabilities=Capabilities()) for view in under_test.views]
        for request in questions(prefix_of(under_test.views)):
            for views in ([], unable):
                with refused(f"{request}, which no channel declares,", UnsupportedRequestError):
                    under_test.policy.plan(request, views)

    @pure_promise()
    def test_p10_realtime(self, under_test: PolicyUnderTest) -> None:
        """P-10: Each step of a live plan says whether it streams, polls or refreshes, and its channel can.

        Do: plan every live question.
        Pass: each action begins with one of these words; only a channel that declares to follow streams.
        """
        for request, views, plan in _plans(under_test):
            if not isinstance(request, RealtimeRequest):
                continue
            able = {view.name: view.capabilities for view in views}
            for step in plan.steps:
                word = step.action.split(" ", maxsplit=1)[0]
                require(word in {STREAM, POLL, REFRESH}, f"{step.action!r} is none of {STREAM}, {POLL}, {REFRESH}")
                needed = able[step.channel].follows if word == STREAM else able[step.channel].answers
                require(request.kind in needed, f"{step.channel} cannot {word} {request.kind}")

    @pure_promise()
    def test_p11_joins(self, under_test: PolicyUnderTest) -> None:
        """P-11: A step that gives its part to the next has a next one that answers.

        Do: plan every question.
        Pass: the last step does not join.
        """
        for request, _, plan in _plans(under_test):
            require(not plan.steps[-1].joins_next, f"{request}: the last step joins nothing:\n{plan}")

    @pure_promise()
    def test_p12_table(self, under_test: PolicyUnderTest) -> None:
        """P-12: A person can read the plan.

        Do: print every plan.
        Pass: the text names the rule, every channel, and the reason of every step.
        """
        for _, _, plan in _plans(under_test):
            text = str(plan)
            lacking = [step.channel for step in plan.steps if step.channel not in text or step.reason not in text]
            require(plan.rule in text and not lacking, f"the text says nothing of {lacking or plan.rule}: {text}")

    @pure_promise()
    def test_p13_venues(self, under_test: PolicyUnderTest) -> None:
        """P-13: No plan crosses from one venue to another.

        Do: add a channel of another venue (`venue_prefix`), and plan questions about the symbols of both venues.
        Pass: the added channel is in no plan for the first venue; for its own venue nobody is planned beside it
            but stores, which serve every venue.
        """
        own, elsewhere = prefix_of(under_test.views), "elsewhere"
        views = [*under_test.views, *of_another_venue(under_test.views, elsewhere)]
        venues = {own: {elsewhere}, elsewhere: _asked_of_a_venue(under_test.views)}
        for prefix, strangers in venues.items():
            for request in questions(prefix):
                with suppress(UnsupportedRequestError):
                    plan = under_test.policy.plan(request, views)
                    crossed = strangers & set(plan.channels)
                    require(not crossed, f"{request} is nothing that {crossed} could serve:\n{plan}")


def _cases(under_test: PolicyUnderTest) -> Iterator[tuple[AnyRequest, list[ChannelView]]]:
    probing = [with_circuit(view, CircuitState.HALF_OPEN, is_probing=True) for view in under_test.views]
    asked = questions(prefix_of(under_test.views))
    for views in (*view_sets(under_test.views), [*probing[:1], *under_test.views[1:]], probing):
        for request in asked:
            yield request, views


def _plans(under_test: PolicyUnderTest) -> Iterator[tuple[AnyRequest, list[ChannelView], RoutePlan]]:
    """Yield a plan of every question that the policy does not refuse."""
    count = 0
    for request, views in _cases(under_test):
        with suppress(UnsupportedRequestError):
            plan = under_test.policy.plan(request, views)
            count += 1
            yield request, views, plan
    require(count, "it refuses every question; give it views of channels that it can plan with")


def _answering(plan: RoutePlan) -> list[RouteStep]:
    return [step for step in plan.steps if step.status is StepStatus.PLANNED and not step.joins_next]


def _names(views: Sequence[ChannelView]) -> str:
    return ", ".join(view.name for view in views)


def _asked_of_a_venue(views: Sequence[ChannelView]) -> set[str]:
    return {view.name for view in views if not view.capabilities.answers_from_store}
