"""Our own policies keep what the port promises."""

import pytest

from market_backbone.application.routing.policies import (
    CacheOnly,
    PreferFreshest,
    RestOnly,
    SmartRoutingPolicy,
    WebSocketFirst,
)
from market_backbone.infrastructure.conformance import PolicyUnderTest, RoutingPolicyContract

POLICIES = (SmartRoutingPolicy, RestOnly, WebSocketFirst, CacheOnly, PreferFreshest)


class TestOurPolicies(RoutingPolicyContract):
    @pytest.fixture(params=POLICIES, ids=lambda kind: kind().name)
    def subject(self, request):
        return PolicyUnderTest(request.param())
