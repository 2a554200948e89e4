"""Requests and answers: credentials, bodies, routes, documents."""
