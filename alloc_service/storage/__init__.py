"""Tables, migrations and named queries."""
