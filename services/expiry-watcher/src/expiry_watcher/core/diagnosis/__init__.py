"""Which token is it? From an error, a status, a place in the product or a few words to the kind of token.

`signals` reads what there is, `platforms` knows how each platform says what, `words` knows how people and Wevion say
it, `judge` weighs the evidence.
"""
