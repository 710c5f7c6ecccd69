//! Where cgroups of our own could be, read from `/proc/self/mountinfo` and `/proc/self/cgroup`
//! (`proc_pid_mountinfo(5)`, `cgroups(7)`).

use std::path::{Path, PathBuf};

use super::{CgroupHome, Controller, Flavour};

/// Every directory worth trying, the best first. Pure: tries nothing.
///
/// For cgroup v2 the directory above our own is tried as well: a cgroup with processes in it may
/// not hand controllers on, but its parent, when it was delegated to us, may have done so.
pub fn candidates(mountinfo: &str, own: &str) -> Vec<CgroupHome> {
    let mut homes = Vec::new();
    for line in mountinfo.lines() {
        let Some(mount) = parse_mount(line) else { continue };
        match mount.kind {
            "cgroup" => {
                let controllers: Vec<Controller> = Controller::ALL
                    .into_iter()
                    .filter(|c| mount.options.contains(&v1_name(*c)))
                    .collect();
                let of_ours = own.lines().filter_map(split_own).find_map(|(names, path)| {
                    let ours = controllers
                        .iter()
                        .any(|c| names.split(',').any(|name| name == v1_name(*c)));
                    ours.then_some(path)
                });
                if let Some(directory) = of_ours.and_then(|path| mount.directory(path)) {
                    homes.push(CgroupHome { flavour: Flavour::V1, controllers, directory });
                }
            }
            "cgroup2" => {
                let of_ours = own.lines().filter_map(split_own).find(|(names, _)| names.is_empty());
                let Some(directory) = of_ours.and_then(|(_, path)| mount.directory(path)) else {
                    continue;
                };
                let above = directory
                    .parent()
                    .filter(|above| above.starts_with(&mount.point))
                    .map(Path::to_owned);
                for directory in std::iter::once(directory).chain(above) {
                    homes.push(CgroupHome {
                        flavour: Flavour::V2,
                        controllers: Controller::ALL.to_vec(),
                        directory,
                    });
                }
            }
            _ => {}
        }
    }
    homes
}

/// Every directory in which something that we start may make a cgroup, whatever the hierarchy
/// controls. Pure like [`candidates`].
pub fn own_directories(mountinfo: &str, own: &str) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for mount in mountinfo.lines().filter_map(parse_mount) {
        let ours = |names: &str| match mount.kind {
            "cgroup" => names.split(',').any(|name| {
                // A hierarchy without a controller is known by its name.
                mount.options.contains(&name)
            }),
            "cgroup2" => names.is_empty(),
            _ => false,
        };
        let path = own.lines().filter_map(split_own).find(|(names, _)| ours(names));
        let Some(directory) = path.and_then(|(_, path)| mount.directory(path)) else { continue };
        if mount.kind == "cgroup2" {
            let above = directory.parent().filter(|above| above.starts_with(&mount.point));
            directories.extend(above.map(Path::to_owned));
        }
        directories.push(directory);
    }
    directories.sort();
    directories.dedup();
    directories
}

fn v1_name(controller: Controller) -> &'static str {
    match controller {
        Controller::Memory => "memory",
        Controller::Pids => "pids",
        Controller::Cpu => "cpuacct",
    }
}

struct MountLine<'a> {
    root: PathBuf,
    point: PathBuf,
    kind: &'a str,
    options: Vec<&'a str>,
}

impl MountLine<'_> {
    /// The directory of the cgroup `path`, when this mount shows it.
    fn directory(&self, path: &str) -> Option<PathBuf> {
        let inner = Path::new(path).strip_prefix(&self.root).ok()?;
        let plain = inner.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        plain.then(|| {
            if inner.as_os_str().is_empty() { self.point.clone() } else { self.point.join(inner) }
        })
    }
}

fn parse_mount(line: &str) -> Option<MountLine<'_>> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let mut fields = after.split(' ');
    let (kind, options) = (fields.next()?, fields.nth(1)?);
    Some(MountLine {
        root: unescape(root),
        point: unescape(point),
        kind,
        options: options.split(',').collect(),
    })
}

/// Undoes the octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> PathBuf {
    let mut plain = text.to_owned();
    for (escape, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(escape, character);
    }
    PathBuf::from(plain)
}

/// `4:memory:/path` as (`memory`, `/path`); the controllers of cgroup v2 are empty.
fn split_own(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(':')?;
    rest.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:7 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw";
    const HYBRID_OWN: &str = "8:pids:/\n4:memory:/a/b\n2:cpu,cpuacct:/\n0::/x";

    fn check(mountinfo: &str, own: &str) -> Vec<String> {
        let line = |home: CgroupHome| {
            let names: Vec<_> = home.controllers.iter().map(|c| c.name()).collect();
            format!("{:?} {} {}", home.flavour, names.join("+"), home.directory.display())
        };
        candidates(mountinfo, own).into_iter().map(line).collect()
    }

    #[test]
    fn hybrid_v1_and_v2() {
        assert_eq!(
            check(HYBRID, HYBRID_OWN),
            [
                "V1 cpu /sys/fs/cgroup/cpu,cpuacct",
                "V1 memory /sys/fs/cgroup/memory/a/b",
                "V1 pids /sys/fs/cgroup/pids",
                "V2 memory+pids+cpu /sys/fs/cgroup/unified/x",
                "V2 memory+pids+cpu /sys/fs/cgroup/unified",
            ]
        );
    }

    #[test]
    fn pure_v2_and_a_container_that_sees_its_part_only() {
        let v2 = "29 23 0:25 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(
            check(v2, "0::/user.slice/app.slice/x.scope\n"),
            [
                "V2 memory+pids+cpu /sys/fs/cgroup/user.slice/app.slice/x.scope",
                "V2 memory+pids+cpu /sys/fs/cgroup/user.slice/app.slice",
            ]
        );
        assert_eq!(check(v2, "0::/\n"), ["V2 memory+pids+cpu /sys/fs/cgroup"]);
        let container = "29 23 0:25 /docker/1 /sys/fs/cgroup rw - cgroup cgroup rw,memory";
        assert_eq!(check(container, "4:memory:/docker/1"), ["V1 memory /sys/fs/cgroup"]);
        assert_eq!(check(container, "4:memory:/docker/2"), Vec::<String>::new());
        assert_eq!(check(v2, "0::/../escaped"), Vec::<String>::new());
        assert_eq!(
            check(r"1 2 0:3 / /a\040b rw - cgroup2 x rw", "0::/"),
            [r"V2 memory+pids+cpu /a b"]
        );
    }

    #[test]
    fn every_hierarchy_has_a_place_of_ours() {
        let more = "\n33 31 0:30 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
                    34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd";
        let own = format!("{HYBRID_OWN}\n6:freezer:/f\n9:name=systemd:/s");
        let found = own_directories(&format!("{HYBRID}{more}"), &own);
        let found: Vec<_> = found.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            found,
            [
                "/sys/fs/cgroup/cpu,cpuacct",
                "/sys/fs/cgroup/freezer/f",
                "/sys/fs/cgroup/memory/a/b",
                "/sys/fs/cgroup/pids",
                "/sys/fs/cgroup/systemd/s",
                "/sys/fs/cgroup/unified",
                "/sys/fs/cgroup/unified/x",
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(mountinfo in "(.{0,40}( - )?(cgroup2? )?\n){0,6}", own in "([0-9]:.{0,20}\n){0,6}") {
            drop(candidates(&mountinfo, &own));
            drop(own_directories(&mountinfo, &own));
        }
    }
}
