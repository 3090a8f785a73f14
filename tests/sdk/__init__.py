"""The client library, both flavours of it, before a server that says what a test wants."""
