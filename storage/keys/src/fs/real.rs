//! Where a path leads.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Component, Path, PathBuf},
};

/// The path of a file or folder without links, also if it does not exist yet: links are followed up to the nearest folder that exists, and the names
/// below it are kept. Two paths can be compared only in this form.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if the path goes through a link to something that does not exist, or up from there: where such a path leads would
/// be decided later; otherwise the error of the system.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut missing: Vec<&OsStr> = Vec::new();
    let mut nearest = absolute.as_path();
    loop {
        match nearest.canonicalize() {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Ok(real);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) if fs::symlink_metadata(nearest).is_ok() => return Err(unclear("a link on it leads to nothing")),
            Err(error) => match (nearest.components().next_back(), nearest.parent()) {
                (Some(Component::Normal(name)), Some(parent)) => {
                    missing.push(name);
                    nearest = parent;
                }
                (Some(Component::ParentDir), _) => {
                    return Err(unclear("it leads up from a folder that does not exist"));
                }
                _ => return Err(error),
            },
        }
    }
}

fn unclear(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn real_path_follows_links_above_what_does_not_exist() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        symlink("a", root.join("link")).unwrap();
        symlink("nothing", root.join("broken")).unwrap();
        for (path, real) in [
            ("a/b", "a/b"),
            ("link/b", "a/b"),
            ("link/new", "a/new"),
            ("link/new/deep", "a/new/deep"),
            ("link/b/../new", "a/new"),
            ("./new/./deep", "new/deep"),
        ] {
            assert_eq!(real_path(&root.join(path)).unwrap(), root.join(real), "{path}");
        }
        for path in ["broken", "broken/new", "new/../a", "new/.."] {
            let error = real_path(&root.join(path)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path}");
        }
        real_path(&root.join("file/new")).unwrap_err();
        assert_eq!(real_path(Path::new("/")).unwrap(), Path::new("/"));
    }
}
