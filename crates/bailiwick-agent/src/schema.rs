//! JSON Schemas for models: generated from the types that parse the arguments, and small.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The schema of `T` without references, titles and number formats, which cost tokens on every
/// call and which some servers do not understand.
pub(crate) fn compact_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    strip(&mut schema, Place::Schema);
    schema
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A schema: its keys are key words.
    Schema,
    /// The value of `properties`: its keys are names, which may be `title` or `format` too.
    Names,
}

fn strip(value: &mut Value, place: Place) {
    match value {
        Value::Object(fields) => {
            if place == Place::Schema {
                for keyword in ["title", "format", "$schema", "$defs", "default"] {
                    fields.remove(keyword);
                }
                // Leaving a field out is the one way to not give it.
                if let Some(Value::Array(types)) = fields.get_mut("type") {
                    types.retain(|name| name != "null");
                    if let [one] = types.as_slice() {
                        let one = one.clone();
                        fields.insert("type".to_owned(), one);
                    }
                }
            }
            for (name, inner) in fields {
                let names = place == Place::Schema && name == "properties";
                strip(inner, if names { Place::Names } else { Place::Schema });
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, Place::Schema)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Sample {
        /// The title.
        title: String,
        /// How many.
        count: Option<u32>,
    }

    #[test]
    fn names_stay_and_noise_goes() {
        assert_eq!(
            compact_schema::<Sample>(),
            json!({
                "type": "object",
                "properties": {
                    "title": {"type": "string", "description": "The title."},
                    "count": {"type": "integer", "minimum": 0, "description": "How many."},
                },
                "required": ["title"],
                "additionalProperties": false,
            })
        );
    }

    #[test]
    fn a_plan_has_no_references() {
        let text = compact_schema::<bailiwick_model::plan::Plan>().to_string();
        assert!(!text.contains("$ref"), "{text}");
        assert!(text.contains("depends_on") && text.contains("acceptance"), "{text}");
        assert!(text.len() < 3_000, "{} bytes", text.len());
    }
}
