//! Giving up every right that is not an ordinary user's.

use std::io;

use rustix::process::{DumpableBehavior, Gid, Uid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits, set_keep_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::root::Owner;

/// Becomes the payload's user for good, keeping capabilities until [`drop_capabilities`]: they are
/// needed to enter the inner namespaces.
pub(super) fn become_user(owner: Owner) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    set_thread_groups(&[])?;
    set_keep_capabilities(true)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    // A changed user clears the effective set and leaves the permitted one, which is enough here:
    // a user namespace gives a full set of its own.
    Ok(())
}

/// Makes this process one whose `/proc` files belong to its user, or to nobody.
pub(super) fn set_visible(visible: bool) -> io::Result<()> {
    let how = if visible { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable };
    Ok(set_dumpable_behavior(how)?)
}

/// Empties every capability set and locks the ways back.
pub(super) fn drop_capabilities() -> io::Result<()> {
    use CapabilitiesSecureBits as Bits;
    clear_ambient_capability_set()?;
    // The kernel may know capabilities that the library does not, hence numbers.
    for number in 0..64u32 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            Err(_) => break,
        }
    }
    set_capabilities_secure_bits(
        Bits::NO_ROOT
            | Bits::NO_ROOT_LOCKED
            | Bits::NO_SETUID_FIXUP
            | Bits::NO_SETUID_FIXUP_LOCKED
            | Bits::KEEP_CAPS_LOCKED
            | Bits::NO_CAP_AMBIENT_RAISE
            | Bits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}

/// Regains the effective set from the permitted one, which a change of user leaves alone.
pub(super) fn raise_permitted() -> io::Result<()> {
    let sets = rustix::thread::capabilities(None)?;
    Ok(set_capabilities(None, CapabilitySets { effective: sets.permitted, ..sets })?)
}

/// For control runs of tests: hands every capability on to the payload.
#[cfg(feature = "test-support")]
pub(super) fn hand_on_capabilities() -> io::Result<()> {
    let all = rustix::thread::capabilities(None)?.permitted;
    set_capabilities(None, CapabilitySets { effective: all, permitted: all, inheritable: all })?;
    for number in 0..64u32 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if all.contains(capability) {
            rustix::thread::configure_capability_in_ambient_set(capability, true)?;
        }
    }
    Ok(())
}

/// No program started from here on can gain rights, set-user-id or not.
pub(super) fn forbid_new_privileges() -> io::Result<()> {
    Ok(set_no_new_privs(true)?)
}
