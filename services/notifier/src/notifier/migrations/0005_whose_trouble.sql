-- Whose trouble a platform's incident is: people are told so, and never blamed for ours.
ALTER TABLE condition ADD COLUMN verdict text;
