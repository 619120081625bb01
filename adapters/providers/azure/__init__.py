"""Azure Functions over their HTTP trigger, with a function key or an Entra token."""
