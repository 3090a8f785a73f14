"""The server as its operators and callers see it: a process, its ports, its signals, its files."""
