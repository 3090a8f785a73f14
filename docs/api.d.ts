// Written by `make gen` from src/aibridge/contract/.

/** A limit in money for one user alone: `limit` by name, amounts in micro-dollars, `window` in seconds. */
export interface AIBudget {
  limit: string;
  amount_micros: number;
  spent_micros: number;
  window: number;
}

/** A token, without its secret. */
export interface APIKey {
  id: string;
  user_id: string;
  username: string;
  organization_id: string;
  token_name: string;
  login_type: string;
  last_four: string;
  scopes: string[];
  allow_list: string[] | null;
  priority: Priority;
  created_by: string | null;
  parent_id: string | null;
  replaced_by: string | null;
  created_at: string;
  expires_at: string | null;
  last_used: string | null;
  revoked_at: string | null;
}

/** A page, and how many there are in all. */
export interface APIKeysResponse {
  keys: APIKey[];
  count: number;
}

/** What is done to it. */
export type Action = "*" | "assign" | "create" | "delete" | "read" | "read_personal" | "unassign" | "update" | "update_personal";

/** The host of workspace applications: empty, since there are none here. */
export interface AppHostResponse {
  host: string;
}

/** How the pages look. */
export interface AppearanceConfig {
  application_name?: string;
  logo_url?: string;
  service_banner?: ServiceBanner;
  support_links?: SupportLink[];
}

/** A role and what it grants on each level; `assignable` says whether the caller may give it. */
export interface AssignableRole {
  name: string;
  display_name: string;
  assignable: boolean;
  built_in: boolean;
  site_permissions?: Permission[];
  organization_permissions?: Permission[];
  user_permissions?: Permission[];
}

/** One change. `before` is null where something was made, `after` where it was deleted. Secrets are in neither. */
export interface AuditLog {
  number: number;
  time: string;
  actor_id: string | null;
  actor_name: string;
  token_id: string | null;
  action: string;
  resource: string;
  resource_id: string;
  resource_name: string;
  organization_id: string | null;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
  address: string;
  user_agent: string;
  digest: string;
}

/** A page, the newest first, and how many match in all. */
export interface AuditLogsResponse {
  audit_logs: AuditLog[];
  count: number;
}

/** Whether every entry is as it was written; else the number of the first that is not. */
export interface AuditVerification {
  count: number;
  valid: boolean;
  broken_at: number | null;
}

/** The ways to sign in. */
export interface AuthMethods {
  password: PasswordMethod;
  oidc: OIDCMethod;
}

/** One question: may I do this to that? */
export interface AuthorizationCheck {
  action: Action;
  object: AuthorizationObject;
}

/** What is asked for: one thing, or all of a kind without `id`. */
export interface AuthorizationObject {
  resource: Resource;
  organization_id?: string | null;
  owner_id?: string | null;
  id?: string | null;
}

/** Questions by names of the caller's choice. */
export interface AuthorizationRequest {
  checks: Record<string, AuthorizationCheck>;
}

/** A circuit breaker as it is now. */
export interface BreakerView {
  name: string;
  provider: string;
  credential: string;
  model: string;
  state: "closed" | "half_open" | "open";
  seconds_left: number;
  calls: number;
  failures: number;
  slow: number;
  trips: number;
  rejections: number;
}

/** All breakers: those of the process that answers. */
export interface BreakersView {
  count: number;
  results: BreakerView[];
}

/** Where people reach this deployment, and what it runs. */
export interface BuildInfoResponse {
  external_url: string;
  version: string;
}

/** A role of one organization. It can grant nothing that its maker may not do there. */
export interface CreateCustomRoleRequest {
  name: string;
  display_name?: string;
  organization_permissions: Permission[];
}

/** A new group, without members. */
export interface CreateGroupRequest {
  name: string;
  display_name?: string;
}

/** A new rule. */
export interface CreateLimitRequest {
  unit: Unit;
  amount: number;
  window?: number;
  burst?: number | null;
  subject?: Subject;
  only?: string[];
  provider?: string;
  model?: string;
  mode?: Mode;
  queue_timeout?: number;
  queue_size?: number;
  organization_id?: string | null;
  name: string;
}

/** A new organization. The name stands in paths: lower-case letters, digits and single dashes. */
export interface CreateOrganizationRequest {
  name: string;
  display_name?: string;
  description?: string;
  icon?: string;
}

/** A new provider. The name stands in the paths of its routes. */
export interface CreateProviderRequest {
  name: string;
  kind: ProviderKind;
  base_url: string;
  key?: string | null;
  display_name?: string;
  enabled?: boolean;
  internal?: boolean;
}

/** A new token. */
export interface CreateTokenRequest {
  token_name: string;
  lifetime?: number | null;
  scopes?: string[];
  allow_list?: string[] | null;
  organization_id?: string | null;
  priority?: Priority;
}

/** A new user. */
export interface CreateUserRequest {
  username: string;
  email?: string | null;
  name?: string;
  password?: string | null;
  login_type?: LoginType | null;
  organization_ids?: string[] | null;
  service_account_of?: string | null;
}

/** How many users made calls on a day (`2026-11-29`). */
export interface DAUEntry {
  date: string;
  amount: number;
}

/** Daily active users, the oldest day first, days without any included. */
export interface DAUsResponse {
  entries: DAUEntry[];
  tz_hour_offset: number;
}

/** Every option, in the order of the documentation; and their values by name. */
export interface DeploymentConfig {
  config: Record<string, unknown>;
  options: DeploymentOption[];
}

/** An option and what it is now; the value of a secret is never shown. `source` says what decided. */
export interface DeploymentOption {
  name: string;
  flag: string;
  env: string;
  yaml: string;
  group: string;
  description: string;
  default: string;
  secret: boolean;
  source: string;
  value: unknown;
}

/** What this deployment may use: everything, since there is no licence to buy. */
export interface Entitlements {
  features: Record<string, Feature>;
  warnings: string[];
  errors: string[];
  has_license: boolean;
  trial: boolean;
  require_telemetry: boolean;
}

/** What went wrong: one line for people, what helps to act on it, and every part of the request that is wrong. */
export interface ErrorBody {
  message: string;
  detail?: string;
  validations?: Validation[];
}

/** Whether something may be used and is. `limit` and `actual` are null where nothing is counted. */
export interface Feature {
  entitlement: string;
  enabled: boolean;
  limit?: number | null;
  actual?: number | null;
}

/** A new token: the one time that its text is shown. */
export interface GeneratedToken {
  key: string;
  id: string;
  expires_at: string | null;
}

/** A group. `source` is `user` where people made it, `oidc` where it came with a sign-in. */
export interface Group {
  id: string;
  organization_id: string;
  name: string;
  display_name: string;
  source: string;
  members: GroupMember[];
  created_at: string;
  updated_at: string;
}

/** A user in a group. */
export interface GroupMember {
  id: string;
  username: string;
}

/** A page, and how many there are in all. */
export interface GroupsResponse {
  groups: Group[];
  count: number;
}

/** Who called. The name is null when the user is gone. */
export interface InitiatorView {
  id: string;
  username: string | null;
}

/** One call. What is only known at its end is null while it runs. */
export interface InterceptionView {
  id: string;
  initiator: InitiatorView;
  api_key_id: string;
  provider: string;
  route: string;
  model: string;
  client: string;
  session_id: string | null;
  user_agent: string;
  streaming: boolean;
  status?: Status | null;
  http_status?: number | null;
  error?: string | null;
  started_at: string;
  first_byte_at?: string | null;
  ended_at?: string | null;
  metadata?: Record<string, string>;
  token_usages?: TokenUsageView[];
  user_prompts?: string[];
  tool_usages?: string[];
}

/** A page, and how many match in all. */
export interface InterceptionsView {
  count: number;
  results: InterceptionView[];
}

/** One rule and its present use. */
export interface LimitView {
  name: string;
  unit: Unit;
  amount: number;
  window: number;
  burst: number | null;
  subject: Subject;
  only: string[] | null;
  provider: string;
  model: string;
  mode: Mode;
  queue_timeout: number;
  queue_size: number;
  organization_id: string | null;
  source: "configuration" | "database";
  subjects: SubjectUse[];
  decisions: Record<string, number> | null;
}

/** All rules, in the order in which they are asked. */
export interface LimitsView {
  count: number;
  results: LimitView[];
}

/** A session. Browsers get it as the cookie `coder_session_token`, too. */
export interface LoginResponse {
  session_token: string;
}

/** How somebody signs in. */
export type LoginType = "none" | "oidc" | "password";

/** Who signs in: email address or username, and password. */
export interface LoginWithPasswordRequest {
  email: string;
  password: string;
}

/** What a rule does above its limit. */
export type Mode = "enforce" | "shadow";

/** Signing in by OpenID Connect. */
export interface OIDCMethod {
  enabled: boolean;
  sign_in_text?: string;
}

/** Who belongs together. `is_default` marks the one that everything begins with. */
export interface Organization {
  id: string;
  name: string;
  display_name: string;
  description: string;
  icon: string;
  is_default: boolean;
  created_at: string;
  updated_at: string;
}

/** A user in an organization; `roles` are those in it, without `organization-member`, which every member is. */
export interface OrganizationMember {
  organization_id: string;
  user_id: string;
  username: string;
  name: string;
  email: string | null;
  roles: string[];
  created_at: string;
  updated_at: string;
}

/** A page, and how many there are in all. */
export interface OrganizationMembersResponse {
  members: OrganizationMember[];
  count: number;
}

/** A page, and how many there are in all. */
export interface OrganizationsResponse {
  organizations: Organization[];
  count: number;
}

/** Signing in by password. */
export interface PasswordMethod {
  enabled: boolean;
}

/** Allows an action on a kind of thing, or denies it. `*` stands for every one. */
export interface Permission {
  resource: Resource;
  action: Action;
  negate?: boolean;
}

/** What the calls of a token are. */
export type Priority = "batch" | "chosen" | "interactive";

/** Which protocol family a provider speaks. */
export type ProviderKind = "anthropic" | "openai";

/** A provider. Its key is never shown: `key_hint` has the last four characters, null without a key. */
export interface ProviderView {
  id: string;
  name: string;
  display_name: string;
  kind: ProviderKind;
  base_url: string;
  enabled: boolean;
  internal: boolean;
  key_hint: string | null;
  source: "configuration" | "database";
  created_at: string | null;
  updated_at: string | null;
}

/** All providers, by name. */
export interface ProvidersResponse {
  providers: ProviderView[];
  count: number;
}

/** A kind of thing. Those of no organization (`user`, `deployment_config`) only site roles reach. */
export type Resource = "*" | "ai_model_price" | "ai_provider" | "aibridge_interception" | "api_key" | "assign_org_role" | "assign_role" | "audit_log" | "deployment_config" | "deployment_stats" | "group" | "limit" | "organization" | "organization_member" | "service_account" | "user";

/** A token takes another's place; both are in force for `overlap` seconds. `lifetime` null: that of the old one. */
export interface RotateTokenRequest {
  overlap?: number;
  lifetime?: number | null;
}

/** A line above every page. The colour is `#` and six hexadecimal digits. */
export interface ServiceBanner {
  enabled?: boolean;
  message?: string;
  background_color?: string;
}

/** How an interception ended. */
export type Status = "cancelled" | "completed" | "failed" | "interrupted";

/** For whom a rule counts apart. */
export type Subject = "address" | "everyone" | "organization" | "token" | "user";

/** How much of a limit one subject uses now, in the limit's unit. `key` is its id, empty for everyone. */
export interface SubjectUse {
  key: string;
  used: number;
}

/** Where people find help. */
export interface SupportLink {
  name: string;
  target: string;
  icon?: string;
}

/** What a response used, in tokens; `metadata` holds the provider's further kinds. */
export interface TokenUsageView {
  id: string;
  interception_id: string;
  provider_response_id: string | null;
  input_tokens: number;
  output_tokens: number;
  cache_read_input_tokens: number;
  cache_write_input_tokens: number;
  metadata: Record<string, number>;
  source: UsageSource;
  created_at: string;
}

/** What a rule counts. */
export type Unit = "concurrent" | "cost" | "input_tokens" | "output_tokens" | "requests" | "total_tokens";

/** What becomes of a role of one organization; what is left out stays. */
export interface UpdateCustomRoleRequest {
  display_name?: string;
  organization_permissions?: Permission[];
}

/** What becomes of a group; what is left out stays. Users are named by id or username. */
export interface UpdateGroupRequest {
  name?: string;
  display_name?: string;
  add_users?: string[];
  remove_users?: string[];
}

/** A rule as it shall be, all of it. Its name and its organization stay. */
export interface UpdateLimitRequest {
  unit: Unit;
  amount: number;
  window?: number;
  burst?: number | null;
  subject?: Subject;
  only?: string[];
  provider?: string;
  model?: string;
  mode?: Mode;
  queue_timeout?: number;
  queue_size?: number;
  organization_id?: string | null;
}

/** The roles that a member shall have in the organization: all of them, and no others. */
export interface UpdateMemberRolesRequest {
  roles: string[];
}

/** What becomes of an organization; what is left out stays. */
export interface UpdateOrganizationRequest {
  name?: string;
  display_name?: string;
  description?: string;
  icon?: string;
}

/** What becomes of a provider; what is left out stays. `key` null takes the key away. */
export interface UpdateProviderRequest {
  base_url?: string;
  key?: string | null;
  display_name?: string;
  enabled?: boolean;
  internal?: boolean;
}

/** The roles that somebody shall have: all of them, and no others. */
export interface UpdateRolesRequest {
  roles: string[];
}

/** A new password. Whoever changes their own says the old one as well. */
export interface UpdateUserPasswordRequest {
  password: string;
  old_password?: string | null;
}

/** What a user is called; what is left out stays. The username is for administrators to change. */
export interface UpdateUserProfileRequest {
  username?: string;
  name?: string;
  email?: string;
}

/** Where the numbers come from, so that nobody mistakes a part for the whole. */
export type UsageSource = "estimated" | "partial" | "provider" | "unknown";

/** A person, or a service account of the organization `service_account_of`. */
export interface User {
  id: string;
  username: string;
  email: string | null;
  name: string;
  status: UserStatus;
  login_type: LoginType;
  roles: string[];
  organization_ids: string[];
  service_account_of: string | null;
  created_at: string;
  updated_at: string;
  last_seen_at: string | null;
}

/** All roles of a user: of the site and, by organization, of organizations. */
export interface UserRoles {
  roles: string[];
  organization_roles: Record<string, string[]>;
}

/** Whether somebody may use the gateway. */
export type UserStatus = "active" | "dormant" | "suspended";

/** A page, and how many match in all. */
export interface UsersResponse {
  users: User[];
  count: number;
}

/** What is wrong with one part of a request. */
export interface Validation {
  field: string;
  detail: string;
}

/** Credits used and allowed. There are no workspaces here: 0 of -1, which is no limit. */
export interface WorkspaceQuota {
  credits_consumed: number;
  budget: number;
}
