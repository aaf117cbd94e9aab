-- Where listing costs a quota (Google Ads), most probes ask about the grant alone: when its accounts are to be listed again.
ALTER TABLE account_listing ADD COLUMN list_due_at timestamptz;
