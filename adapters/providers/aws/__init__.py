"""AWS Lambda over its Invoke call, signed with Signature Version 4."""
