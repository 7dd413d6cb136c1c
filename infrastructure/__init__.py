"""Everything that touches the world: adapters, clock, sandbox, command line, wiring."""
