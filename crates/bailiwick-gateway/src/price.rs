//! What tokens cost. Amounts are whole micro-dollars and every rounding is upward, so that a sum
//! of parts is never below the whole.

use std::collections::BTreeMap;

use bailiwick_model::chat::{ChatRequest, Usage, canonical_json};
use bailiwick_model::task::MicroUsd;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::config::ProviderKind;

/// The table that is compiled in.
const BUILT_IN: &str = include_str!("prices.toml");
/// Fewer bytes than any common tokenizer needs for a token of code or prose on average: with it an
/// estimate errs on the high side.
const BYTES_PER_TOKEN: u64 = 3;
/// What a provider adds round each message and tool.
const TOKENS_PER_PART: u64 = 16;

/// A price per million tokens, in micro-dollars; written in dollars such as `0.15` or `"0.15"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// Makes a rate from micro-dollars per million tokens.
    #[must_use]
    pub const fn from_micro_usd_per_mtok(micro_usd: u64) -> Self {
        Self(micro_usd)
    }

    /// Returns micro-dollars per million tokens.
    #[must_use]
    pub const fn micro_usd_per_mtok(self) -> u64 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
        whole.checked_mul(1_000_000)?.checked_add(fraction).map(Self)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(u64),
            Number(f64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Whole(dollars) => dollars.to_string(),
            // The shortest text that reads back as this number: what the operator wrote.
            Written::Number(dollars) => dollars.to_string(),
            Written::Text(text) => text,
        };
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is not a price in dollars per million tokens, such as `0.15`"
            ))
        })
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Dollars per million tokens, at most six decimals.",
            "anyOf": [
                { "type": "number", "minimum": 0 },
                { "type": "string", "pattern": r"^[0-9]+(\.[0-9]{0,6})?$" }
            ]
        })
    }
}

/// What a model costs, each in dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPrice {
    /// Input that neither comes from nor goes into a prompt cache.
    pub input: Rate,
    /// Output, reasoning included.
    pub output: Rate,
    /// Input read from a prompt cache; by default as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Rate>,
    /// Input written to a prompt cache; by default as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
}

impl ModelPrice {
    /// Costs nothing.
    pub const FREE: Self =
        Self { input: Rate(0), output: Rate(0), cache_read: None, cache_write: None };
}

/// A dated table of prices, by wire format and model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceTable {
    anthropic: PriceList,
    openai: PriceList,
}

/// The prices of one vendor as they were on a day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    /// The day they were read, `YYYY-MM-DD`.
    pub read_on: String,
    /// Where they were read.
    pub source: String,
    models: BTreeMap<String, ModelPrice>,
}

impl PriceList {
    /// Returns the names of all models that it has a price for, without their dated variants.
    pub fn model_names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    fn get(&self, model: &str) -> Option<ModelPrice> {
        self.models.get(model).or_else(|| self.models.get(without_date(model)?)).copied()
    }
}

/// A price table that can't be read.
#[derive(Debug, Error)]
#[error("the price table can't be read")]
pub struct PriceTableError {
    /// What is wrong with it, with its line.
    #[from]
    source: toml::de::Error,
}

impl PriceTable {
    /// Returns the table that this version was built with.
    ///
    /// # Errors
    /// Never in a tested build.
    pub fn built_in() -> Result<Self, PriceTableError> {
        Self::parse(BUILT_IN)
    }

    /// Reads a table from TOML.
    ///
    /// # Errors
    /// Fails with the line on anything that is not a table of prices.
    pub fn parse(text: &str) -> Result<Self, PriceTableError> {
        Ok(toml::from_str(text)?)
    }

    /// Returns the list of one wire format; a script has none.
    #[must_use]
    pub const fn list(&self, kind: ProviderKind) -> Option<&PriceList> {
        match kind {
            ProviderKind::Anthropic => Some(&self.anthropic),
            ProviderKind::Openai => Some(&self.openai),
            ProviderKind::Scripted => None,
        }
    }

    /// Returns a model's price; a trailing date in its name (`-20250929`, `-2025-04-14`) and the
    /// ending `-latest` are ignored when the full name is not listed.
    #[must_use]
    pub fn price(&self, kind: ProviderKind, model: &str) -> Option<ModelPrice> {
        self.list(kind)?.get(model)
    }
}

fn without_date(model: &str) -> Option<&str> {
    if let Some(name) = model.strip_suffix("-latest") {
        return Some(name);
    }
    let matches_shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| {
                if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted }
            })
    };
    ["-00000000", "-0000-00-00"].into_iter().find_map(|shape| {
        let at = model.len().checked_sub(shape.len())?;
        let (name, date) = model.split_at_checked(at)?;
        matches_shape(date, shape).then_some(name)
    })
}

/// Returns what a call cost, rounded up to a whole micro-dollar.
#[must_use]
pub fn cost(usage: &Usage, price: &ModelPrice) -> MicroUsd {
    let parts = [
        (usage.input_tokens, price.input),
        (usage.output_tokens, price.output),
        (usage.cache_read_tokens, price.cache_read.unwrap_or(price.input)),
        (usage.cache_write_tokens, price.cache_write.unwrap_or(price.input)),
    ];
    let total = parts
        .into_iter()
        .map(|(tokens, rate)| u128::from(tokens).saturating_mul(u128::from(rate.0)))
        .fold(0_u128, u128::saturating_add)
        .div_ceil(1_000_000);
    MicroUsd(u64::try_from(total).unwrap_or(u64::MAX))
}

/// An upper estimate of a call before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Tokens of the request, computed from its bytes.
    pub input_tokens: u64,
    /// Tokens of the answer: all that it may have.
    pub output_tokens: u64,
    /// What that costs at most.
    pub cost: MicroUsd,
}

/// Estimates a call at a price, on the high side: every input byte at the dearest input rate, and
/// the whole output allowance.
#[must_use]
pub fn estimate(request: &ChatRequest, price: &ModelPrice) -> Estimate {
    estimate_tokens(estimated_input_tokens(request), request.max_output_tokens, price)
}

/// Estimates a call of so many bytes.
#[must_use]
pub(crate) fn estimate_bytes(bytes: usize, max_output_tokens: u32, price: &ModelPrice) -> Estimate {
    estimate_tokens(tokens_of_bytes(bytes), max_output_tokens, price)
}

fn estimate_tokens(input_tokens: u64, max_output_tokens: u32, price: &ModelPrice) -> Estimate {
    let dearest = price.cache_write.map_or(price.input, |write| write.max(price.input));
    let output_tokens = u64::from(max_output_tokens);
    let usage = Usage { input_tokens, output_tokens, estimated: true, ..Usage::default() };
    let cost = cost(&usage, &ModelPrice { input: dearest, ..*price });
    Estimate { input_tokens, output_tokens, cost }
}

/// Returns how many tokens a request has at most, computed from its bytes.
#[must_use]
pub(crate) fn estimated_input_tokens(request: &ChatRequest) -> u64 {
    let bytes = canonical_json(request).map_or(0, |text| text.len());
    let parts = request.messages.len().saturating_add(request.tools.len());
    tokens_of_bytes(bytes).saturating_add((parts as u64).saturating_mul(TOKENS_PER_PART))
}

/// Returns how many tokens `bytes` of text have at most.
#[must_use]
pub(crate) fn tokens_of_bytes(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_readable_and_dated() {
        let table = PriceTable::built_in().unwrap();
        for kind in [ProviderKind::Anthropic, ProviderKind::Openai] {
            let list = table.list(kind).unwrap();
            assert!(list.read_on.parse::<jiff::civil::Date>().is_ok());
            assert!(list.source.starts_with("https://"));
            for model in list.model_names() {
                let price = table.price(kind, model).unwrap();
                assert!(price.input > Rate(0), "{model}");
                assert!(price.output > price.input, "{model}");
                assert!(price.cache_read.unwrap() < price.input, "{model}");
            }
        }
        assert!(table.price(ProviderKind::Anthropic, "gpt-4.1").is_none());
    }

    #[test]
    fn dated_names_have_the_price_of_their_model() {
        let table = PriceTable::built_in().unwrap();
        let price = |kind, model| table.price(kind, model);
        let plain = price(ProviderKind::Anthropic, "claude-sonnet-4-5");
        assert!(plain.is_some());
        assert_eq!(price(ProviderKind::Anthropic, "claude-sonnet-4-5-20250929"), plain);
        assert_eq!(price(ProviderKind::Anthropic, "claude-sonnet-4-5-2025092x"), None);
        let plain = price(ProviderKind::Openai, "gpt-4.1");
        assert_eq!(price(ProviderKind::Openai, "gpt-4.1-2025-04-14"), plain);
        assert_eq!(price(ProviderKind::Openai, "gpt-4.1-turbo"), None);
    }

    #[test]
    fn rates_are_exact_decimals() {
        for (text, micro_usd) in [
            ("input = 0.15\noutput = 1", Some(150_000)),
            ("input = \"0.000001\"\noutput = 1", Some(1)),
            ("input = 3\noutput = 1", Some(3_000_000)),
            ("input = 3.75\noutput = 1", Some(3_750_000)),
            ("input = -1\noutput = 1", None),
            ("input = nan\noutput = 1", None),
            ("input = \"1e3\"\noutput = 1", None),
            ("input = \"0.0000001\"\noutput = 1", None),
            ("input = 1\noutput = 1\ncurrency = 'EUR'", None),
        ] {
            let price = toml::from_str::<ModelPrice>(text).ok();
            assert_eq!(price.map(|price| price.input.0), micro_usd, "{text}");
        }
        assert_eq!(Rate(150_000).to_string(), "0.15");
        assert_eq!(Rate(3_000_000).to_string(), "3");
    }

    #[test]
    fn cost_is_rounded_up_and_does_not_overflow() {
        let price = ModelPrice {
            input: Rate(3_000_000),
            output: Rate(15_000_000),
            cache_read: Some(Rate(300_000)),
            cache_write: Some(Rate(3_750_000)),
        };
        let usage = Usage {
            input_tokens: 1000,
            output_tokens: 100,
            cache_read_tokens: 1,
            cache_write_tokens: 10,
            estimated: false,
        };
        // 3000 + 1500 + 0.3 + 37.5
        assert_eq!(cost(&usage, &price), MicroUsd(4538));
        assert_eq!(cost(&usage, &ModelPrice::FREE), MicroUsd(0));
        let flood = Usage { input_tokens: u64::MAX, ..Usage::default() };
        let dear = ModelPrice { input: Rate(u64::MAX), ..price };
        assert_eq!(cost(&flood, &dear), MicroUsd(u64::MAX));
    }
}
