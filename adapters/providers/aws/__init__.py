"""AWS Lambda: the Invoke call, SigV4, and its errors as outcomes."""
