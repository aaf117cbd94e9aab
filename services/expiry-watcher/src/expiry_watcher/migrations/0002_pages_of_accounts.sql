-- Grants with too many accounts for one event: how many they have, and the rest of their list, page by page.
ALTER TABLE token ADD COLUMN accounts_total integer;

CREATE TABLE token_account_page (
  token_id uuid NOT NULL,
  page     integer NOT NULL,
  version  bigint NOT NULL,
  accounts jsonb NOT NULL,
  PRIMARY KEY (token_id, page)
);
CREATE INDEX token_account_page_by_account ON token_account_page USING gin (accounts jsonb_path_ops);
