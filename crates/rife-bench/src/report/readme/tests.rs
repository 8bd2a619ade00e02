use super::*;

fn error_of(text: &str) -> String {
    let error = format!("{:#}", rewrite(text, "R.md", &[]).expect_err(text));
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn invalid_markers_are_reported_with_their_line() {
    for (text, expected) in [
        ("a\n<!-- /table -->\n", "R.md:2: <!-- /table --> without <!-- table: before it"),
        ("<!-- table: speed\n", "R.md:1: marker must end with -->"),
        ("\n\n<!-- table: -->\n", "R.md:3: table: expected machine, "),
        ("<!-- table: sped r.json -->", "R.md:1: table sped: expected machine, "),
        ("<!-- table: speed r.json -->", "R.md:1: table speed: expected speed RECORD PRECISION"),
        (
            "<!-- table: machine r.json -->",
            "R.md:1: table machine: record \"r.json\" was not given",
        ),
    ] {
        let error = error_of(text);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn text_without_tables_is_unchanged() {
    for text in [
        "",
        "\r\n\u{feff}no newline",
        "```text\n<!-- table: speed h100.json f16 -->\n<!-- /table -->\n```\n",
        "   ~~~~\n~~~\n```\n<!-- /table -->\n~~~~\n",
        "````\n```\n<!-- /table -->\n```` no end\n<!-- /table -->\n",
        "inline <!-- /table --> and `<!-- table: x -->`\n",
    ] {
        let new = rewrite(text, "R.md", &[]).expect(text);
        assert_eq!(new, Rewritten { text: text.into(), first_changed: None, has_tables: false });
    }
}

#[test]
fn text_that_resembles_a_fence_hides_no_table() {
    for before in [
        "```inline``` code\n",
        "    ```\n",
        "````\n```\n````\n",
        "```\n~~~\n```\n",
        "~~~ a `b`\n~~~~\n",
        "``\n",
    ] {
        let error = error_of(&format!("{before}<!-- /table -->\n"));
        assert!(error.ends_with("without <!-- table: before it"), "{error}");
    }
}
