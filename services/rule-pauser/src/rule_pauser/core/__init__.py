"""The rules about rules: which accounts work, when a rule pauses, who may resume it. Values in, decisions out."""
