"""How JSON flows between steps: paths and conditions. Pure functions over values."""
