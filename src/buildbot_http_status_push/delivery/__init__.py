"""When a delivery is sent, and what an outcome means. Must know neither SQL nor HTTP."""
