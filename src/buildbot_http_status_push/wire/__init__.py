"""One attempt over HTTP: authentication, TLS, and what trouble is called. Knows no retries."""
