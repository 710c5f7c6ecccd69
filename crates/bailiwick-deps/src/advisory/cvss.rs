//! The base score of CVSS 3 vectors; other versions are not scored here.

use super::Threat;

/// None for what is no vector of version 3.
pub(super) fn threat(vector: &str) -> Option<Threat> {
    let score = score(vector)?;
    Some(match score {
        _ if score >= 9.0 => Threat::Critical,
        _ if score >= 7.0 => Threat::High,
        _ if score >= 4.0 => Threat::Medium,
        _ => Threat::Low,
    })
}

fn score(vector: &str) -> Option<f64> {
    let metrics = vector.strip_prefix("CVSS:3.0/").or_else(|| vector.strip_prefix("CVSS:3.1/"))?;
    let metric = |name: &str| {
        metrics.split('/').find_map(|part| part.split_once(':').filter(|(key, _)| *key == name))
    };
    let changed = metric("S")?.1 == "C";
    let reach = match metric("AV")?.1 {
        "N" => 0.85,
        "A" => 0.62,
        "L" => 0.55,
        "P" => 0.2,
        _ => return None,
    };
    let complexity = match metric("AC")?.1 {
        "L" => 0.77,
        "H" => 0.44,
        _ => return None,
    };
    let privileges = match (metric("PR")?.1, changed) {
        ("N", _) => 0.85,
        ("L", false) => 0.62,
        ("L", true) => 0.68,
        ("H", false) => 0.27,
        ("H", true) => 0.5,
        _ => return None,
    };
    let interaction = match metric("UI")?.1 {
        "N" => 0.85,
        "R" => 0.62,
        _ => return None,
    };
    let loss = |name: &str| match metric(name)?.1 {
        "H" => Some(0.56),
        "L" => Some(0.22),
        "N" => Some(0.0),
        _ => None,
    };
    let all = 1.0 - (1.0 - loss("C")?) * (1.0 - loss("I")?) * (1.0 - loss("A")?);
    let impact =
        if changed { 7.52 * (all - 0.029) - 3.25 * f64::powi(all - 0.02, 15) } else { 6.42 * all };
    if impact <= 0.0 {
        return Some(0.0);
    }
    let exploit = 8.22 * reach * complexity * privileges * interaction;
    let sum = if changed { 1.08 * (impact + exploit) } else { impact + exploit };
    // the little that is taken off is what binary fractions add
    Some((sum.min(10.0) * 10.0 - 1e-6).ceil() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_the_scores_that_the_standard_gives() {
        for (vector, expected) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Some(9.8)),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", Some(10.0)),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", Some(6.1)),
            ("CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:L", Some(3.7)),
            ("CVSS:4.0/AV:N", None),
        ] {
            let found = score(vector);
            assert!(
                match (found, expected) {
                    (Some(a), Some(b)) => (a - b).abs() < 0.001,
                    (None, None) => true,
                    _ => false,
                },
                "{vector}: {found:?}"
            );
        }
    }
}
