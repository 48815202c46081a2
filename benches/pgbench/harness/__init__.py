"""The parts of `benches/pgbench/run`: servers, measurements, tables. Standard library only."""
