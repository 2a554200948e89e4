"""What programs read: the API, badges, cctray.xml, feeds, metrics."""
