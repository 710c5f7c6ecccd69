//! Faults that a test asks for. Without the feature `test-support` there is nothing here but an
//! empty [`crash_point`], so a normal build cannot be made to fail or crash from outside:
//!
#![cfg_attr(not(feature = "test-support"), doc = "```compile_fail")]
#![cfg_attr(feature = "test-support", doc = "```")]
//! let plan: bailiwick_store::fault::FaultPlan = "fail-append=17".parse()?;
//! # Ok::<(), bailiwick_store::fault::FaultPlanError>(())
//! ```

#[cfg(feature = "test-support")]
mod plan;

#[cfg(not(feature = "test-support"))]
mod none;

#[cfg(not(feature = "test-support"))]
pub(crate) use none::{FaultPlan, installed};

#[cfg(feature = "test-support")]
pub use plan::{FaultPlan, FaultPlanError, install};

#[cfg(feature = "test-support")]
pub(crate) use plan::{Injection, crash, installed};

/// Names a point where a test may have the process killed. Does nothing in a normal build.
#[cfg(not(feature = "test-support"))]
#[inline]
pub const fn crash_point(_name: &str) {}

/// Names a point where a test may have the process killed.
#[cfg(feature = "test-support")]
pub fn crash_point(name: &str) {
    if let Some(plan) = installed() {
        plan.reach(name);
    }
}
