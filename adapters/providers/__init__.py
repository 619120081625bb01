"""One package a provider; none imports another."""
