//! Anthropic Messages, outbound.

mod assemble;
mod encode;

pub use assemble::AnthropicAssembler;
pub(crate) use encode::encode;

/// The family name in preserved reasoning blocks.
pub(crate) const FAMILY: &str = "anthropic";
/// The protocol version that is asked for.
pub(crate) const VERSION: &str = "2023-06-01";
/// Where Anthropic itself is.
pub(crate) const DEFAULT_BASE_URL: &str = "https://api.anthropic.com";
