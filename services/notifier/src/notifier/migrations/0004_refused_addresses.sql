-- The codes with which a server refused an address: a person sees them in the settings.
ALTER TABLE dead_address ADD COLUMN reply text NOT NULL DEFAULT '';
