"""HTTP triggers of an Azure function app."""
