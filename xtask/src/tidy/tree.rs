//! The files of the repository.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const SKIPPED_FOLDERS: [&str; 5] = [".git", ".venv", "__pycache__", "node_modules", "target"];

/// Paths relative to `root`, in order, with `/` between their parts.
pub(super) fn list(root: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    visit(root, "", &mut paths)?;
    paths.sort();
    Ok(paths)
}

fn visit(folder: &Path, prefix: &str, paths: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_file() {
            paths.push(path);
        } else if kind.is_dir() && !is_skipped(&entry.path(), &name) {
            visit(&entry.path(), &format!("{path}/"), paths)?;
        }
    }
    Ok(())
}

/// Cargo marks its target folders, whatever their names.
fn is_skipped(folder: &Path, name: &str) -> bool {
    SKIPPED_FOLDERS.contains(&name) || folder.join("CACHEDIR.TAG").exists()
}
