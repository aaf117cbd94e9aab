"""A mailbox: SMTP in, HTTP and a page out. Whoever a mail was for, it ends here."""
