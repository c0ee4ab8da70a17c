"""Whether what the project is made of is locked, may be used, and has no known hole: python -m deploy.dependencies."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
