//! `/etc` of the cage: what programs need to start, resolve names and check certificates.
//!
//! Deliberately absent: everything else; above all `shadow`, keys, machine ids and whatever an
//! administrator may have put there.

use std::fs;
use std::path::Path;

use super::super::mounts::{FIXED, Tree};
use super::Owner;
use super::layout::Layout;
use crate::reply::CageError;

/// Taken from the host when it has it. Public by nature.
const FROM_HOST: [&str; 14] = [
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld-musl-x86_64.path",
    "alternatives",
    "localtime",
    "mime.types",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ca-certificates",
    "pki/tls/certs",
    "pki/ca-trust/extracted",
];

/// Fills `/etc`.
pub(super) fn fill(layout: &Layout<'_>, with_network: bool, owner: Owner) -> Result<(), CageError> {
    for name in FROM_HOST {
        let step = || CageError::at(format!("placing `/etc/{name}`"));
        let (source, target) = (Path::new("/etc").join(name), format!("etc/{name}"));
        if let Ok(link) = fs::read_link(&source) {
            layout.link(&link.to_string_lossy(), &target).map_err(step())?;
        } else if source.exists() {
            let tree = Tree::of_host(&source, FIXED).map_err(step())?;
            layout.attach(tree, &target).map_err(step())?;
        }
    }
    let Owner { uid, gid } = owner;
    let root = if uid == 0 { "" } else { "root:x:0:0:root:/root:/usr/sbin/nologin\n" };
    let root_group = if gid == 0 { "" } else { "root:x:0:\n" };
    let mut files = vec![
        (
            "passwd",
            format!(
                "{root}agent:x:{uid}:{gid}:agent:/home/agent:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
            ),
        ),
        ("group", format!("{root_group}agent:x:{gid}:\nnogroup:x:65534:\n")),
        ("hostname", "bailiwick\n".to_owned()),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n".to_owned()),
    ];
    let hosts = "127.0.0.1 localhost bailiwick\n::1 localhost\n".to_owned();
    if with_network {
        files.push(("hosts", fs::read_to_string("/etc/hosts").unwrap_or(hosts)));
        files.push(("resolv.conf", fs::read_to_string("/etc/resolv.conf").unwrap_or_default()));
    } else {
        files.push(("hosts", hosts));
    }
    for (name, content) in files {
        layout
            .file(&format!("etc/{name}"), content.as_bytes())
            .map_err(CageError::at(format!("writing `/etc/{name}`")))?;
    }
    Ok(())
}
