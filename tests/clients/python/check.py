"""A Python client on the server: it lists the tools, calls each well and badly, and disconnects.

usage: check.py sdk-2|sdk-2-legacy|sdk-1|fastmcp SERVER

The gateway and the key come from AIGATEWAY_URL and AIGATEWAY_API_KEY.
"""

import asyncio
import contextlib
import os
import sys
import time

FLAVOR, SERVER = sys.argv[1:]
ENVIRONMENT = {name: os.environ[name] for name in ("AIGATEWAY_URL", "AIGATEWAY_API_KEY")}
TOOLS = ["list_models", "create_mapping", "update_mapping", "delete_mapping"]
VERSIONS = {"sdk-2": "2026-07-28", "sdk-2-legacy": "2025-11-25", "sdk-1": "2025-11-25", "fastmcp": "2026-07-28"}
ALIAS = f"python-{FLAVOR}-{os.getpid()}"

# The SDKs kill a server that takes longer than this to end.
SOON = 2.0


@contextlib.asynccontextmanager
async def sdk_1():
    """The SDK before 2: always `initialize`."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    async with stdio_client(StdioServerParameters(command=SERVER, env=ENVIRONMENT)) as (reading, writing):
        async with ClientSession(reading, writing) as session:
            opened = await session.initialize()
            await session.send_ping()
            yield session, opened.protocolVersion


@contextlib.asynccontextmanager
async def sdk_2(mode):
    """The SDK from 2 on: `server/discover` first, unless told otherwise."""
    from mcp import Client, StdioServerParameters

    async with Client(StdioServerParameters(command=SERVER, env=ENVIRONMENT), mode=mode) as client:
        yield client, client.protocol_version


@contextlib.asynccontextmanager
async def fastmcp():
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport

    async with Client(StdioTransport(SERVER, [], env=ENVIRONMENT, keep_alive=False)) as client:
        # What it wraps: a session of the SDK, with the same methods.
        yield client.session, client.session.protocol_version


CONNECT = {
    "sdk-1": sdk_1,
    "sdk-2": lambda: sdk_2("auto"),
    "sdk-2-legacy": lambda: sdk_2("legacy"),
    "fastmcp": fastmcp,
}


def plain(answer):
    """A result as it is on the wire, whatever the SDK calls its fields."""
    return answer.model_dump(by_alias=True, mode="json", exclude_none=True)


class Checks:
    def __init__(self, client):
        self.client = client

    async def call(self, tool, **arguments):
        return plain(await self.client.call_tool(tool, arguments))

    async def good(self, tool, **arguments):
        result = await self.call(tool, **arguments)
        assert not result.get("isError"), result
        assert result["content"][0]["text"].startswith("{"), result
        return result["structuredContent"]

    async def bad(self, tool, said, **arguments):
        result = await self.call(tool, **arguments)
        text = result["content"][0]["text"]
        assert result["isError"] is True and "structuredContent" not in result, result
        assert text.startswith("Error: Failed to ") and said in text, text

    async def the_tools_are_listed(self):
        tools = plain(await self.client.list_tools())["tools"]
        assert [tool["name"] for tool in tools] == TOOLS, tools
        assert all(tool["inputSchema"]["type"] == "object" for tool in tools)
        assert tools[0]["annotations"]["readOnlyHint"] is True

    async def create_mapping_well(self):
        created = await self.good("create_mapping", alias=ALIAS, provider_id="openai", model_name="gpt-4o")
        assert created["alias"] == ALIAS and created["enabled"] is True, created

    async def create_mapping_badly(self):
        await self.bad("create_mapping", "taken", alias=ALIAS, provider_id="openai", model_name="gpt-4o")
        await self.bad("create_mapping", "provider_id", alias="x", provider_id="nobody", model_name="gpt-4o")
        await self.bad("create_mapping", "alias")

    async def list_models_well(self):
        found = await self.good("list_models", search=ALIAS, limit="5")
        assert [mapping["alias"] for mapping in found["custom_mappings"]] == [ALIAS], found
        everything = await self.good("list_models")
        assert everything["built_in_models"] and everything["total"] > 1, everything

    async def list_models_badly(self):
        await self.bad("list_models", "limit", limit="many")

    async def update_mapping_well(self):
        updated = await self.good("update_mapping", alias=ALIAS, model_name="gpt-4o-mini", description="ü 🦀")
        assert updated["model_name"] == "gpt-4o-mini" and updated["description"] == "ü 🦀", updated

    async def update_mapping_badly(self):
        await self.bad("update_mapping", "enabled", alias=ALIAS, enabled=False)

    async def delete_mapping_badly(self):
        await self.bad("delete_mapping", "no-such", alias="no-such-mapping")

    async def delete_mapping_well(self):
        assert (await self.good("delete_mapping", alias=ALIAS))["alias"] == ALIAS

    async def progress_is_told_to_who_asks_for_it(self):
        steps = []

        async def step(progress, total, message):
            steps.append((progress, message))

        # A call may be over before there is something to say.
        for _ in range(50):
            if not steps:
                await self.client.call_tool("list_models", {}, progress_callback=step)
        assert steps and all(progress > 0 and message.endswith("answered") for progress, message in steps), steps

    async def an_unknown_tool_is_an_error_of_the_protocol(self):
        try:
            await self.call("no_such_tool")
        except Exception as error:
            assert error.error.code == -32602, error
        else:
            raise AssertionError("it was accepted")

    async def calls_at_the_same_time_are_each_answered(self):
        answers = await asyncio.gather(*(self.good("list_models", search="gpt") for _ in range(50)))
        assert all(answer == answers[0] for answer in answers)


passed = failed = 0


def report(name, error=None):
    global passed, failed
    passed, failed = passed + (error is None), failed + (error is not None)
    print(f"ok: {name}" if error is None else f"FAILED: {name}: {type(error).__name__}: {error}", flush=True)


async def main():
    async with CONNECT[FLAVOR]() as (client, version):
        right = version == VERSIONS[FLAVOR]
        report("the version", None if right else AssertionError(version))
        for name, check in vars(Checks).items():
            if name.startswith("_") or name in ("call", "good", "bad"):
                continue
            try:
                await check(Checks(client))
                report(name.replace("_", " "))
            except Exception as error:
                report(name.replace("_", " "), error)
        closing = time.monotonic()
    taken = time.monotonic() - closing
    report("disconnecting", None if taken < SOON else AssertionError(f"the server took {taken:.1f} s to end"))


asyncio.run(asyncio.wait_for(main(), 120))
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
