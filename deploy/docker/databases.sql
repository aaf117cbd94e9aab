-- One database per service; each service migrates its own.
CREATE DATABASE session_svc;
CREATE DATABASE oauth_svc;
CREATE DATABASE expiry_watcher;
CREATE DATABASE rule_pauser;
CREATE DATABASE notifier;
