//! Where the configuration is looked for.

use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;

/// Where a configuration may stand without being named, in this order.
pub const PLACES: [&str; 3] =
    ["./rosterd.yaml", "./config/rosterd.yaml", "/etc/rosterd/rosterd.yaml"];
/// Names the configuration where the command line does not.
pub const VARIABLE: &str = "ROSTERD_CONFIG";

/// The file to read, if there is one: the named one whether it exists or not, else the first that
/// does.
pub fn locate(
    named: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
) -> Option<PathBuf> {
    let from_env = || env(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = named.map(Path::to_owned).or_else(from_env);
    named.or_else(|| PLACES.iter().map(PathBuf::from).find(|path| folder.join(path).is_file()))
}

/// The problem that there is none, and how to begin.
pub fn nowhere() -> Diagnostic {
    Diagnostic::error(
        "no-configuration",
        format!("there is no configuration: not in --config, ${VARIABLE}, {}", PLACES.join(", ")),
    )
    .hint(
        "write one (`rosterd schema config` tells its shape), or name a roster with --users and \
         set PARADIME_API_ENDPOINT, PARADIME_API_KEY and PARADIME_API_SECRET; \
         --sandbox --users FILE needs neither",
    )
}
