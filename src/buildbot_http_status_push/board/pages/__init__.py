"""The pages that people read: views, templates, charts, static files."""
