"""Every route of the pages, as an address that can be asked."""

from uuid import UUID

from flask import Flask


def routes_of(app: Flask, enrolment: str) -> list[tuple[str, str, str]]:
    """Return every route as method, address in TEST-SMALL at site XA01, and endpoint."""
    values = {
        "trial": "TEST-SMALL",
        "site": "XA01",
        "enrolment": UUID(enrolment),
        "seq": 0,
        "filename": "style.css",
        "number": 1,
        "name": "x",
        "username": "guest",
    }
    found = []
    with app.test_request_context(base_url="http://localhost"):
        adapter = app.url_map.bind("localhost")
        for rule in app.url_map.iter_rules():
            path = adapter.build(rule.endpoint, {name: values[name] for name in rule.arguments})
            found += [
                (method, path, rule.endpoint)
                for method in sorted((rule.methods or set()) & {"GET", "POST"})
            ]
    return found
