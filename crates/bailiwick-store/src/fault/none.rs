//! What a normal build has in place of a plan: nothing ever happens.

use std::io;

/// No faults.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultPlan;

impl FaultPlan {
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "with `test-support` a simulated disk may be full"
    )]
    pub(crate) const fn take_room(&self, _bytes: usize) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) const fn installed() -> Option<FaultPlan> {
    None
}
