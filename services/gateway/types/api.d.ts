// The API as the console reads it: short names for what the services' documents define.
import type { components as Watcher } from "./expiry-watcher";
import type { components as Notifier } from "./notifier";
import type { components as OAuth } from "./oauth-svc";
import type { components as Pauser } from "./rule-pauser";
import type { components as Sessions } from "./session-svc";

/** Pages of a list put together; `more`: there are further ones. */
export type Listed<T, Beside = unknown> = Beside & { items: T[]; more: boolean };

export type Me = Sessions["schemas"]["SessionView"];
export type Person = Sessions["schemas"]["PersonView"];
export type Member = Sessions["schemas"]["MemberView"];
export type MemberSession = Sessions["schemas"]["MemberSession"];
export type OwnSessions = Sessions["schemas"]["OwnSessionsView"];
export type OwnSession = Sessions["schemas"]["OwnSession"];
export type SupportAccess = Sessions["schemas"]["SupportAccess"];
export type AuditEntry = Sessions["schemas"]["AuditEntry"];
export type Connection = OAuth["schemas"]["ConnectionView"];
export type Account = OAuth["schemas"]["AccountSummary"];
export type MissingScope = OAuth["schemas"]["MissingScope"];
export type Provider = OAuth["schemas"]["ProviderView"];
export type Providers = OAuth["schemas"]["Providers"];
export type Integration = OAuth["schemas"]["IntegrationView"];
export type Integrations = OAuth["schemas"]["Integrations"];
export type Gap = OAuth["schemas"]["GapView"];
export type Rule = Pauser["schemas"]["RuleView"];
export type Reason = Pauser["schemas"]["ReasonView"];
export type Notice = Notifier["schemas"]["NoticeItem"];
export type NoticePage = Notifier["schemas"]["NoticePage"];
export type Preferences = Notifier["schemas"]["PreferencesView"];
export type TelegramLink = Notifier["schemas"]["LinkStatus"];
export type LinkOffer = Notifier["schemas"]["LinkOffer"];
export type Diagnosis = Watcher["schemas"]["DiagnosisView"];
export type Candidate = Watcher["schemas"]["CandidateView"];
export type Check = Watcher["schemas"]["CheckView"];
