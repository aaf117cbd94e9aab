"""The rules of expiry: what is due, what supersedes what, which token an error is about. Values in, decisions out."""
