//! Which keys stand where in `rosterd.yaml`: what is read, and what the schema tells.

pub const FILE: [&str; 9] =
    ["version", "schedule", "watch", "store", "listen", "web", "notify", "retention", "workspaces"];
pub const WEB: [&str; 2] = ["token", "anonymous"];
pub const NOTIFY: [&str; 6] = ["url", "format", "secret", "events", "workspaces", "expiring"];
pub const SCHEDULE: [&str; 3] = ["cron", "timezone", "jitter"];
pub const WATCH: [&str; 2] = ["debounce", "poll"];
pub const WORKSPACE: [&str; 10] = [
    "name",
    "endpoint",
    "credentials",
    "workspace_uid",
    "users",
    "timezone",
    "on_removed",
    "suspend",
    "guard",
    "http",
];
pub const CREDENTIALS: [&str; 2] = ["api_key", "api_secret"];
pub const SECRET: [&str; 2] = ["env", "file"];
pub const GUARD: [&str; 3] = ["min_admins", "required_admins", "budgets"];
pub const BUDGETS: [&str; 4] = ["disable", "demote", "grant_admin", "invite"];
pub const BUDGET: [&str; 3] = ["percent", "floor", "window"];
pub const HTTP: [&str; 5] = ["timeout", "concurrency", "batch", "rate", "ca_file"];
