"""One seed's world: the exchange, the program, the script that happens to both, and what was broken."""

import asyncio
import random
import tempfile
import time
from pathlib import Path

import simulated_loop
import simulated_oracle as oracle
from attrs import define, field, frozen
from simulated_calm import broken_lateness, broken_promptness, broken_subscriptions
from simulated_client import BETWEEN_PROCESSES_S, Followed, Process
from simulated_history import History
from simulated_memory import held_bytes
from simulated_network import SimulatedNetwork, simulated_time
from simulated_plan import SETTLE_S, Line, page_of, to_fault
from simulated_truth import broken_answer, broken_budget, broken_ledger

from market_backbone.infrastructure.budget import shared_budget as address

MAX_TASKS, MAX_TIMERS, MAX_BYTES = 400, 2_000, 1_000_000


@frozen(kw_only=True)
class Outcome:
    """What became of one seed."""

    seed: int
    digest: str
    violations: tuple
    simulated_s: float
    wall_s: float
    faults: int
    checks: int
    counts: dict
    told: tuple = ()


@define
class World:
    """Everything of one seed; see the module's text."""

    plan: object
    loop: object
    folder: Path
    history: History
    network: SimulatedNetwork = field(init=False)
    process: Process = field(init=False)
    followed: list = field(init=False, factory=list)
    violations: list = field(init=False, factory=list)
    troubles: list = field(init=False, factory=list)
    checks: int = field(init=False, default=0)
    began_ms: int = field(init=False, default=0)
    slow_until: float = field(init=False, default=0.0)

    async def play(self):
        """Live through the script, then through the calm, then end and look at what is left."""
        began_at = self.loop.time()
        self.network = SimulatedNetwork(self.plan, self.history)
        self.began_ms = self.network.now_ms
        self.process = Process(self)
        for symbol in self.plan.symbols:
            self._begin_to_follow(symbol, "candle")
            self._begin_to_follow(symbol, "trade")
        self._begin_to_follow(self.plan.symbols[0], "orderbook")
        for line in self.plan.lines:
            await asyncio.sleep(max(0.0, began_at + line.at_s - self.loop.time()))
            await self._happen(line)
            self._check_bounds()
        await asyncio.sleep(max(0.0, began_at + self.plan.lasts_s - self.loop.time()))
        self.network.sandbox.clear_faults()
        await asyncio.sleep(SETTLE_S)
        self._judge_the_end()
        await self._judge_the_store()
        await self._end()

    def _begin_to_follow(self, symbol, kind):
        followed = Followed(symbol, kind)
        self.followed.append(followed)
        self.process.start(self.process.follow(followed))

    async def _happen(self, line: Line):
        self.history.note("line", str(line))
        if line.trouble is not None:
            kind, seconds = line.trouble
            self.troubles.append((kind, self._passed_s(), self._passed_s() + seconds))
        match line.what:
            case "ask":
                self.process.start(self.process.ask(line))
            case "burst":
                for page in range(line.with_["pages"]):
                    self.process.start(self.process.ask(page_of(line, page)))
            case "follow":
                self.process.start(self._follow_for_a_while(line))
            case "restart":
                await self._restart(is_abrupt=line.with_["is_abrupt"])
            case _:
                self._befall(line)

    def _passed_s(self):
        return (self.network.now_ms - self.began_ms) / 1000

    def _befall(self, line):
        match line.what:
            case "fault":
                self.network.sandbox.inject(to_fault(line))
            case "cut":
                self.network.cut(line.with_["seconds"])
            case "freeze":
                self.loop.freeze(line.with_["seconds"])
            case "slow-consumer":
                self.slow_until = self.loop.time() + line.with_["seconds"]
            case "stragglers":
                self.network.straggler_share = line.with_["share"]
                self.loop.call_later(line.with_["seconds"], setattr, self.network, "straggler_share", 0.0)

    async def _follow_for_a_while(self, line):
        try:
            async with asyncio.timeout(line.with_["for_s"]):
                await self.process.follow(Followed(line.with_["symbol"], line.with_["kind"]))
        except TimeoutError:
            self.history.note("followed for a while")

    async def _restart(self, *, is_abrupt):
        await self.process.end(is_abrupt=is_abrupt)
        self._check_nothing_is_left()
        address._present.clear()
        await asyncio.sleep(BETWEEN_PROCESSES_S)
        self.process = Process(self)
        for followed in self.followed:
            self.process.start(self.process.follow(followed))

    async def dawdle(self, followed):
        """Be slow, while the script wants the first follower to be."""
        if followed is self.followed[0] and self.loop.time() < self.slow_until:
            await asyncio.sleep(self.slow_until - self.loop.time())

    def judge_answer(self, request, series):
        """Compare one answer with the truth."""
        self._take(broken_answer(self.network.sandbox.market, self.network.now_ms, request, series))

    def _judge_the_end(self):
        market, edge_ms = self.network.sandbox.market, self.network.now_ms - oracle.EDGE_MS
        for followed in self.followed:
            self._take(oracle.broken_promise(market, edge_ms, followed))
            self._take(broken_promptness(self.troubles, self.began_ms, self.network.now_ms, market, followed))
            self._take(broken_lateness(self.troubles, self.began_ms, followed))
        held = held_bytes(self.process.api)
        self._take([f"the program holds on to {held} bytes"] if held > MAX_BYTES else [])
        self._take(broken_subscriptions(self.troubles, self._passed_s(), self.network, self.followed))
        self._take(broken_budget(self.network))

    async def _judge_the_store(self):
        store = self.process.container.channels()["cache"].store
        for held in await store.inventory():
            if held.quarantine_reason:
                self._take([f"{held.key} was set aside: {held.quarantine}"])
                continue
            ledger, series = store.ledger(held.key), await store.read(held.key, held.span)
            self._take(broken_ledger(self.network.sandbox.market, self.network.now_ms, held.key, ledger, series))

    async def _end(self):
        await self.process.end(is_abrupt=False)
        self._check_nothing_is_left()
        self._take([f"the loop was told: {context}" for context in self.loop.failures])

    def _check_bounds(self):
        tasks = len(asyncio.all_tasks())
        self._take([f"{tasks} tasks"] if tasks > MAX_TASKS else [])
        self._take([f"{self.loop.timers} timers"] if self.loop.timers > MAX_TIMERS else [])

    def _check_nothing_is_left(self):
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        self._take([f"a task is left behind: {task}" for task in tasks])
        self._take([f"{self.network.open_connections} sockets are left open"] if self.network.connections else [])

    def _take(self, broken):
        self.checks += 1
        at = self.loop.time() - simulated_loop.EPOCH_S
        self.violations += [f"{at:.1f} s: {text}" for text in broken]


def simulate(plan, *, keeps=0):
    """Live through one plan; answers the outcome."""
    began = time.perf_counter()
    history = History(keeps)
    random.seed(plan.seed)
    address._present.clear()
    worlds = []

    async def main(loop):
        with tempfile.TemporaryDirectory(prefix="simulation-") as folder, simulated_time(loop, plan.drift):
            worlds.append(world := World(plan=plan, loop=loop, folder=Path(folder), history=history))
            await world.play()
            return loop.time() - simulated_loop.EPOCH_S

    try:
        simulated_s, crashed = simulated_loop.run(main, plan.seed, plan.disorder), []
    except Exception as error:  # noqa: BLE001 - whatever ends a world is what the simulation is for
        simulated_s, crashed = 0.0, [f"the world ended with {type(error).__name__}: {error}"]
    world = worlds[0]
    return Outcome(
        seed=plan.seed,
        digest=history.digest,
        violations=(*world.violations, *crashed),
        simulated_s=simulated_s,
        wall_s=time.perf_counter() - began,
        faults=sum(line.trouble is not None for line in plan.lines),
        checks=world.checks,
        counts=dict(history.counts),
        told=tuple(history.told),
    )
