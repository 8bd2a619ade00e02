use super::*;

fn refused(text: &str) -> String {
    let error = format!("{:#}", rewrite(text, "R.md", &[]).expect_err(text));
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn what_is_wrong_with_a_marker_is_said_with_its_line() {
    for (text, error) in [
        ("a\n<!-- /table -->\n", "R.md:2: <!-- /table --> without a table before it"),
        ("<!-- table: speed\n", "R.md:1: the marker does not end with -->"),
        ("\n\n<!-- table: -->\n", "R.md:3: table: expected machine, "),
        ("<!-- table: sped r.json -->", "R.md:1: table sped: expected machine, "),
        ("<!-- table: speed r.json -->", "R.md:1: table speed: expected speed RECORD PRECISION"),
        ("<!-- table: machine r.json -->", "R.md:1: table machine: no record \"r.json\" was given"),
    ] {
        let said = refused(text);
        assert!(said.starts_with(error), "{said}");
    }
}

#[test]
fn a_text_without_tables_stays_what_it_is() {
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
fn what_only_looks_like_a_fence_hides_no_table() {
    for before in [
        "```inline``` code\n",
        "    ```\n",
        "````\n```\n````\n",
        "```\n~~~\n```\n",
        "~~~ a `b`\n~~~~\n",
        "``\n",
    ] {
        let said = refused(&format!("{before}<!-- /table -->\n"));
        assert!(said.ends_with("without a table before it"), "{said}");
    }
}
