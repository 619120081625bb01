"""The shell: load, evolve, decide, append, perform. The only part of core that awaits or holds a clock."""
