//! `docs/record.md` is generated from the types of the records.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use rife_bench::record::{KernelRecord, Record, VideoRecord};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

const INTRODUCTION: &str = "\
# Record format

<!-- Generated from the types in crates/rife-bench by its test `record_format`. To update it, run
     RIFE_BENCH_UPDATE=1 cargo test -p rife-bench --test record_format -->

`rife-bench` writes its results as JSON. All reports and tables are computed from these records, which keep every
sample. The benchmark writes a [Record](#record), `rife-bench kernels --json` a [KernelRecord](#kernelrecord) and
`rife-bench video --json` a [VideoRecord](#videorecord).

## Conventions

- **Compatibility.** Within schema 1, fields may be added, but never removed or redefined. Readers must ignore unknown
  fields. *Missing in older records* marks fields that were added later.
- **Units are part of the name**: `_ms` milliseconds, `_s` seconds, `_mib` MiB (2^20 bytes), `_percent` 0 to 100,
  `_share` 0 to 1, `_db` decibels, `_mhz` MHz, `_w` watts, `_c` degrees Celsius. `fps` counts interpolated frames only.
  Sizes are in pixels.
- **Unknown values** are `null`. Fields that can be absent say so.
- **PSNR** of identical frames is the string `\"inf\"`, as JSON has no infinity.
- **Errors** are relative to a full scale of 1: an 8-bit step is 1/255.
- **Precision.** Floating-point numbers are written exactly. Frame times are rounded to 0.1 µs.
- **Privacy.** Local paths are shortened to relative paths, paths below `~/`, or file names.
- **Integrity.** Files are written to a temporary name and renamed, so that a record is never incomplete.
- **Layout.** Objects span several lines, arrays one line.
";

#[test]
fn documentation_matches_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/record.md");
    let expected = document();
    if std::env::var_os("RIFE_BENCH_UPDATE").is_some() {
        std::fs::write(&path, &expected).expect("docs/record.md is writable");
    }
    let found = std::fs::read_to_string(&path).expect("docs/record.md");
    assert!(
        found == expected,
        "docs/record.md is out of date; run RIFE_BENCH_UPDATE=1 cargo test -p rife-bench --test \
         record_format"
    );
}

fn document() -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut text = INTRODUCTION.to_owned();
    let roots = [
        root::<Record>(&mut generator),
        root::<KernelRecord>(&mut generator),
        root::<VideoRecord>(&mut generator),
    ];
    let mut done = BTreeSet::new();
    let definitions = Value::Object(generator.definitions().clone());
    let mut queue: Vec<(String, Value)> = roots.into_iter().rev().collect();
    while let Some((name, schema)) = queue.pop() {
        if !done.insert(name.clone()) {
            continue;
        }
        section(&mut text, &name, &schema);
        let mut references = Vec::new();
        find_references(&schema, &mut references);
        // Depth first, in the order of the fields.
        for name in references.into_iter().rev() {
            queue.push((name.clone(), definitions[&name].clone()));
        }
    }
    text
}

fn root<T: JsonSchema>(generator: &mut SchemaGenerator) -> (String, Value) {
    let schema = generator.root_schema_for::<T>();
    (T::schema_name().into_owned(), schema.as_value().clone())
}

fn section(text: &mut String, name: &str, schema: &Value) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\n## {name}\n\n{}\n\n", description(schema));
    if let Some(variants) = schema["oneOf"].as_array() {
        let _ = writeln!(text, "| value | meaning |\n|---|---|");
        for variant in variants {
            let value = match variant.get("const") {
                Some(value) => format!("`{value}`"),
                None => tagged(variant),
            };
            let _ = writeln!(text, "| {value} | {} |", description(variant));
        }
        return;
    }
    let _ = writeln!(text, "| field | type | meaning |\n|---|---|---|");
    for (field, property) in schema["properties"].as_object().expect("fields") {
        let _ = writeln!(text, "| `{field}` | {} | {} |", kind(property), description(property));
    }
}

/// A variant with data, such as `{"scene": {"seed": integer}}`.
fn tagged(variant: &Value) -> String {
    let properties = variant["properties"].as_object().expect("a tagged variant");
    let (tag, content) = properties.iter().next().expect("a tag");
    let fields = content["properties"].as_object().expect("fields");
    let fields = fields.iter().map(|(name, field)| format!("`{name}`: {}", kind(field)));
    format!("`{tag}` with {}", fields.collect::<Vec<_>>().join(", "))
}

fn description(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(value) = schema.get("const") {
        return format!("`{value}`");
    }
    if let Some(parts) = schema["anyOf"].as_array() {
        return parts.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("array of {}", items(schema)),
        Value::String(name) if name == "null" => "`null`".into(),
        Value::String(name) if name == "object" => "object of strings".into(),
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).map(|name| match name {
                "null" => "`null`",
                other => other,
            });
            names.collect::<Vec<_>>().join(" or ")
        }
        _ => "string or object".into(),
    }
}

fn items(schema: &Value) -> String {
    match schema["prefixItems"].as_array() {
        Some(parts) => format!("[{}]", parts.iter().map(kind).collect::<Vec<_>>().join(", ")),
        None => kind(&schema["items"]),
    }
}

fn find_references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(reference) if name == "$ref" => {
                        found.extend(reference.rsplit('/').next().map(str::to_owned));
                    }
                    _ if name == "$defs" => {}
                    _ => find_references(field, found),
                }
            }
        }
        Value::Array(parts) => parts.iter().for_each(|part| find_references(part, found)),
        _ => {}
    }
}
