//! OpenAI chat completions, outbound, and whatever is compatible with them.

mod assemble;
mod encode;

pub use assemble::OpenAiAssembler;
pub(crate) use encode::encode;

/// The family name in preserved reasoning blocks.
pub(crate) const FAMILY: &str = "openai";
/// Where OpenAI itself is.
pub(crate) const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
/// OpenAI's own host, whose newer models insist on another name for the output limit.
pub(crate) const OWN_HOST: &str = "api.openai.com";
