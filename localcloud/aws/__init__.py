"""AWS Lambda's REST protocol: signatures, errors, invocations."""
