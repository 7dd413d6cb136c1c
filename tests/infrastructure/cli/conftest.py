"""A sandbox, and the command line that talks to it."""

import asyncio
import os
import sys

import pytest

from market_backbone.infrastructure.sandbox import Sandbox, SandboxConfig


@pytest.fixture
async def sandbox():
    async with Sandbox(SandboxConfig(speed=10.0)) as opened:
        yield opened


@pytest.fixture
def start(sandbox, tmp_path):
    """Start ``market-backbone`` as a process of its own that knows the sandbox."""

    async def process(*words, **variables):
        environ = {
            **os.environ,
            "MARKET_BACKBONE_ENV": "test",
            "MARKET_BACKBONE__UPBIT__REST_URL": sandbox.rest_url,
            "MARKET_BACKBONE__UPBIT__WEBSOCKET_URL": sandbox.websocket_url,
            "MARKET_BACKBONE__CACHE__FOLDER": str(tmp_path / "cache"),
            **variables,
        }
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "market_backbone", *words,
            env=environ, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    return process


@pytest.fixture
def command(start):
    """Run ``market-backbone`` against the sandbox; answers (exit code, stdout, stderr)."""

    async def run(*words, **variables):
        process = await start(*words, **variables)
        out, err = await asyncio.wait_for(process.communicate(), 50)
        return process.returncode, out.decode(), err.decode()

    return run
