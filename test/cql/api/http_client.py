"""An application and an operator that use the proxy's HTTP API with aiohttp: writes of every kind, then the phases of a migration. Prints one JSON line per answer."""
import asyncio
import json
import sys
import uuid

import aiohttp

BASE = f"http://127.0.0.1:{sys.argv[1]}"


async def main():
    async with aiohttp.ClientSession() as session:
        async def show(what, response):
            print(json.dumps({"what": what, "status": response.status, "body": await response.json()}), flush=True)

        async def write(query, values, **more):
            body = {"keyspace": "ks", "table": "assets", "query": query, "values": values, "request_id": str(uuid.uuid4()), "timestamp": None, **more}
            async with session.post(f"{BASE}/write", json=body) as response:
                await show("write", response)

        async def mode(name, **more):
            async with session.post(f"{BASE}/config/mode", json={"mode": name, **more}) as response:
                await show("mode", response)

        asset = "550e8400-e29b-41d4-a716-446655440000"
        async with session.get(f"{BASE}/health") as response:
            await show("health", response)
        await mode("DualAsync")
        await mode("DualSync")
        await write("INSERT INTO ks.assets (asset_id, title, duration, created_at) VALUES (?, ?, ?, ?)", [asset, "Q4", 3600, "2026-01-02T03:04:05.123456"], consistency="LocalQuorum")
        await write("UPDATE ks.assets SET status = ?, updated_at = ? WHERE asset_id = ?", ["done", "2026-01-02T03:04:06", asset])
        for number in range(20):
            await write("INSERT INTO ks.assets (asset_id, duration) VALUES (?, ?)", [str(uuid.uuid4()), number])
        await write("DELETE FROM ks.assets WHERE asset_id = ?", [asset])
        await mode("TargetOnly")
        async with session.get(f"{BASE}/stats") as response:
            await show("stats", response)
        async with session.get(f"{BASE}/metrics") as response:
            lines = [line for line in (await response.text()).split("\n") if line and not line.startswith("#")]
            print(json.dumps({"what": "metrics", "status": response.status, "body": {"lines": len(lines), "readable": all(len(line.rsplit(" ", 1)) == 2 and float(line.rsplit(" ", 1)[1]) is not None for line in lines)}}))


asyncio.run(main())
