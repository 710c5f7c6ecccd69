//! Lines that were written only lately and are written anew.

use super::{CHURN, Thresholds, sources};
use crate::content_gate::{Hit, Input};
use jiff::{SignedDuration, Timestamp};

/// The most files whose past is looked at.
const MOST_FILES: usize = 40;

pub(super) fn find(
    input: &Input,
    thresholds: &Thresholds,
    hits: &mut Vec<Hit>,
) -> Result<(), String> {
    let hours = i64::from(thresholds.recent_days).saturating_mul(24);
    let since: Timestamp =
        input.now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN);
    let (mut recent, mut removed) = (0_u32, 0_u32);
    let changed = sources(input).filter(|pair| !pair.removed.is_empty() && pair.before.is_some());
    for pair in changed.take(MOST_FILES) {
        if input.is_late() {
            break;
        }
        let Some(lines) = input.base.written_since(pair.path_before(), since)? else {
            return Ok(());
        };
        for range in &pair.removed {
            removed = removed.saturating_add(range.last.saturating_sub(range.first) + 1);
            let young = lines.iter().filter(|line| range.contains(**line)).count();
            recent = recent.saturating_add(u32::try_from(young).unwrap_or(u32::MAX));
        }
    }
    let days = thresholds.recent_days;
    if recent > 0 {
        let message =
            format!("{recent} of {removed} changed lines were written in the last {days} days");
        hits.push(Hit::in_change(CHURN, "", message));
    }
    if recent >= thresholds.recent_lines.max(1) && u64::from(recent) * 2 >= u64::from(removed) {
        let message = format!(
            "writes {recent} lines anew that were written in the last {days} days, of {removed} that it changes"
        );
        hits.push(Hit::in_change("quality/churn", "", message));
    }
    Ok(())
}
