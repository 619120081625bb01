"""FastAPI over the engine. bootstrap.py is the composition root and alone imports adapters."""
