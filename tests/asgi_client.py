"""A small synchronous client of an ASGI application, start and stop of the application included."""

import asyncio

import httpx


class Client:
    """Runs the application's lifespan around requests made without a socket."""

    def __init__(self, app, base_url="http://127.0.0.1:8000"):
        self.app, self.base_url, self.headers = app, base_url, {}

    def __enter__(self):
        self.runner = asyncio.Runner()
        self.lifespan = self.app.router.lifespan_context(self.app)
        self.runner.run(self.lifespan.__aenter__())
        return self

    def __exit__(self, *error):
        self.runner.run(self.lifespan.__aexit__(*error))
        self.runner.close()

    def request(self, method, path, *, headers=None, params=None, json=None, content=None):
        async def once():
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=self.base_url) as client:
                merged = {**self.headers, **(headers or {})}
                return await client.request(method, path, headers=merged, params=params, json=json, content=content)

        return self.runner.run(asyncio.wait_for(once(), 10))

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)
