//! Whether new code is written as the code around it is: how names are put together, whether what
//! others see says what it is for, and whether a part knows only those that it may know.

use super::neighbours::Neighbours;
use super::{Layer, sources};
use crate::content_gate::{Hit, Input};
use crate::path_class::{PathClass, classify};
use bailiwick_sast::{Item, ItemKind, imports, items};
use globset::GlobBuilder;
use std::collections::BTreeSet;

/// Fewest declarations around that make a custom.
const FEWEST: usize = 5;
/// How many of a hundred follow it.
const MOST_OF_THEM: usize = 80;

/// How a name is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Snake,
    Camel,
    Pascal,
}

impl Style {
    /// None for a name of one word: it follows every custom but that of capitals.
    fn of(name: &str) -> Option<Self> {
        let name = name.trim_matches('_');
        let first = name.chars().next()?;
        let capitals = name.chars().skip(1).any(char::is_uppercase);
        let small = name.chars().any(char::is_lowercase);
        match (first.is_uppercase(), name.contains('_'), capitals) {
            (false, true, false) => Some(Self::Snake),
            (false, false, true) => Some(Self::Camel),
            (true, false, _) if small => Some(Self::Pascal),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Snake => "like_this",
            Self::Camel => "likeThis",
            Self::Pascal => "LikeThis",
        }
    }
}

pub(super) fn find(input: &Input, neighbours: &Neighbours, hits: &mut Vec<Hit>) {
    for pair in sources(input) {
        if classify(&pair.path).contains(&PathClass::Test) {
            continue;
        }
        let Some(after) = pair.after.as_deref().and_then(|bytes| items(&pair.path, bytes)) else {
            continue;
        };
        let before = pair
            .before
            .as_deref()
            .and_then(|bytes| items(pair.path_before(), bytes))
            .unwrap_or_default();
        let known: BTreeSet<&str> = before.iter().map(|item| item.name.as_str()).collect();
        let fresh: Vec<&Item> = after
            .iter()
            .filter(|item| !known.contains(item.name.as_str()) && pair.adds_line(item.line))
            .collect();
        if fresh.is_empty() {
            continue;
        }
        let mut around = before.clone();
        for path in neighbours.beside(&pair.path).take(20) {
            around.extend(neighbours.items(path).iter().cloned());
        }
        for item in fresh {
            let anchor = &item.name;
            let at = |rule, message| Hit {
                line: Some(item.line),
                ..Hit::in_file(rule, &pair.path, anchor, message)
            };
            let public: Vec<&Item> = around.iter().filter(|one| one.public).collect();
            let told = public.iter().filter(|one| one.documented).count();
            if item.public && !item.documented && is_custom(told, public.len()) {
                let message = format!(
                    "`{}` does not say what it is for; {told} of {} public names around it do",
                    item.name,
                    public.len()
                );
                hits.push(at("quality/undocumented", message));
            }
            let Some(style) = Style::of(&item.name) else { continue };
            let styles: Vec<Style> = around
                .iter()
                .filter(|one| one.kind == item.kind)
                .filter_map(|one| Style::of(&one.name))
                .collect();
            for usual in [Style::Snake, Style::Camel, Style::Pascal] {
                let count = styles.iter().filter(|one| **one == usual).count();
                if usual != style && is_custom(count, styles.len()) && !may_differ(item) {
                    let message = format!(
                        "`{}` is not written {}, as {count} of {} names around it are",
                        item.name,
                        usual.as_str(),
                        styles.len()
                    );
                    hits.push(at("quality/naming", message));
                }
            }
        }
    }
}

/// Names that a language or a framework prescribes.
fn may_differ(item: &Item) -> bool {
    let name = item.name.as_str();
    item.kind == ItemKind::Function
        && (name.starts_with("__")
            || matches!(name, "setUp" | "tearDown" | "setUpClass" | "tearDownClass")
            || name.starts_with("visit_")
            || name.starts_with("do_"))
}

fn is_custom(following: usize, all: usize) -> bool {
    all >= FEWEST && following * 100 >= all * MOST_OF_THEM
}

/// Imports against the layers that the repository names.
pub(super) fn layers(input: &Input, layers: &[Layer], hits: &mut Vec<Hit>) -> Result<(), String> {
    for layer in layers {
        let pattern = GlobBuilder::new(&layer.paths)
            .literal_separator(true)
            .build()
            .map_err(|_| {
                format!("`{}` of a layer in `[settings.quality]` is no pattern", layer.paths)
            })?
            .compile_matcher();
        for pair in sources(input).filter(|pair| pattern.is_match(&pair.path)) {
            let imports = |path: &str, bytes: Option<&[u8]>| {
                bytes.and_then(|bytes| imports(path, bytes)).unwrap_or_default()
            };
            let before = imports(pair.path_before(), pair.before.as_deref());
            let new = imports(&pair.path, pair.after.as_deref());
            for import in new.iter().filter(|import| !before.contains(import)) {
                let Some(not) = layer.not.iter().find(|not| begins_with(import, not)) else {
                    continue;
                };
                let message = format!(
                    "`{}` imports `{import}`; `{}` may not know `{not}`",
                    pair.path, layer.paths
                );
                hits.push(Hit::in_file("quality/layer", &pair.path, import, message));
            }
        }
    }
    Ok(())
}

/// Whether a path begins with the words of another, however they are put together.
fn begins_with(import: &str, not: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(['.', '/', ':', '\\']).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    };
    words(import).starts_with(&words(not))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_styles() {
        for (name, style) in [
            ("total_price", Some(Style::Snake)),
            ("_total_price", Some(Style::Snake)),
            ("totalPrice", Some(Style::Camel)),
            ("TotalPrice", Some(Style::Pascal)),
            ("Total", Some(Style::Pascal)),
            ("total", None),
            ("TOTAL", None),
            ("MAX_LINES", None),
            ("", None),
        ] {
            assert_eq!(Style::of(name), style, "{name}");
        }
    }

    #[test]
    fn an_import_begins_with_whole_words() {
        assert!(begins_with("shop.web.views", "shop.web"));
        assert!(begins_with("crate::web::views", "crate.web"));
        assert!(begins_with("../web/views", "../web"));
        assert!(!begins_with("shop.website", "shop.web"));
    }
}
