//! How the allocator deals with memory that is free again.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Settings of the allocator, which it reads when the process begins and nowhere else: take memory when it is needed, not
/// ahead, and give it back a tenth of a second after it became free (`docs/performance.md`, memory).
const SETTINGS: &[(&str, &str)] = &[("MIMALLOC_ARENA_EAGER_COMMIT", "0"), ("MIMALLOC_PURGE_DELAY", "100")];

/// Begins the process again under these settings, unless whoever started it has set any of them. The process stays the
/// same one, and so do its arguments and files.
pub(crate) fn settle() {
    if SETTINGS.iter().any(|(name, _)| env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    // It only returns when it fails; then the process goes on as it is.
    let _ = again.args(arguments).envs(SETTINGS.iter().copied()).exec();
}
