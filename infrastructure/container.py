"""Wiring, and nothing else: which part receives which. No condition, no calculation."""

import random

from dependency_injector import containers, providers

from ..application.api import UnifiedMarketDataAPI
from ..application.repository import UnifiedMarketDataRepository
from ..application.runtime.telemetry import Telemetry
from ..config import Settings
from . import factories
from .clock import MarketClock, VenueTimes
from .registry import Registry
from .structured_logging import StructlogLogger


class Container(containers.DeclarativeContainer):
    """One API and all its parts; ``settings``, ``policy`` and ``observers`` are given from outside."""

    settings = providers.Dependency(instance_of=Settings)
    policy = providers.Dependency()
    observers = providers.Dependency(default=())

    clock = providers.Singleton(MarketClock, follows_speed=settings.provided.sandbox.follow_speed)
    times = providers.Singleton(VenueTimes, clock)
    logger = providers.Singleton(StructlogLogger, settings.provided.log.level, settings.provided.log.format)
    telemetry = providers.Singleton(Telemetry, logger, observers, clock)
    grace = providers.Singleton(factories.grace, settings.provided.finality)
    registry = providers.Singleton(Registry, settings.provided.plugins.adapters, settings.provided.plugins.policies)
    channels = providers.Singleton(factories.channels, registry, settings, clock, times, grace, telemetry)
    routing_policy = providers.Singleton(factories.policy, registry, policy, settings.provided.routing.policy)
    rules = providers.Singleton(factories.rules, settings, grace)
    rng = providers.Object(random.random)
    api = providers.Singleton(UnifiedMarketDataAPI, channels, routing_policy, rules, clock, times, telemetry, rng)
    repository = providers.Singleton(UnifiedMarketDataRepository, api)
