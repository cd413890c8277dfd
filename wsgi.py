"""The door for a WSGI server: `gunicorn wsgi:app`; settings come from the environment."""

from alloc_service.app import create_app

app = create_app()
