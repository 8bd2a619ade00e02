//! The page in a browser: on a phone and on a desktop, in light and dark mode.

#[path = "support/browser.rs"]
mod browser;
#[path = "support/records.rs"]
mod records;

use std::path::Path;
use std::process::Command;

use rife_bench::report::page;
use rife_bench::report::records::NamedRecord;
use serde_json::Value;

/// Inspects the page after loading, and stores its findings in the document around the frame, which
/// the browser dumps.
const INSPECT: &str = r#"<script>
addEventListener("load", () => {
  const rgb = text => text.match(/[\d.]+/g).slice(0, 3).map(Number);
  const light = text => {
    const [r, g, b] = rgb(text).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (!/, 0\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const images = [...document.images];
  // Drawing decodes immediately; lazy decoding might finish after the dump.
  const canvas = document.createElement("canvas").getContext("2d");
  const decoded = image => {
    try { canvas.drawImage(image, 0, 0); return image.naturalWidth > 0; } catch { return false; }
  };
  const empty = node => { const box = node.getBoundingClientRect(); return !(box.width > 0 && box.height > 0); };
  const pale = [...document.querySelectorAll("p,li,th,td,dt,dd,h1,h2,h3,h4,a,caption,figcaption,span,strong,svg text")]
    .filter(node => node.textContent.trim() && !node.matches(".swatch"))
    .map(node => [contrast(node.ownerSVGElement ? getComputedStyle(node).fill : getComputedStyle(node).color, behind(node)), node.tagName + "." + node.getAttribute("class")])
    .filter(([ratio]) => ratio < 4.5).map(([ratio, name]) => name + " " + ratio.toFixed(2));
  const body = getComputedStyle(document.body);
  const found = {
    width: innerWidth, scroll: document.documentElement.scrollWidth,
    svgs: document.querySelectorAll("svg").length, images: images.length,
    empty: [...document.querySelectorAll("svg,img")].filter(empty).length,
    broken: images.filter(image => !decoded(image)).length,
    nameless: [...document.querySelectorAll("svg")].filter(svg => svg.getAttribute("role") !== "img" || !svg.querySelector("title")).length,
    twice: [...document.querySelectorAll("[id]")].filter(node => document.querySelectorAll(`[id="${node.id}"]`).length > 1).length,
    contrast: contrast(body.color, body.backgroundColor), ink: light(body.color), pale: [...new Set(pale)],
    fetched: performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).map(entry => entry.name),
  };
  parent.document.body.setAttribute("data-found", encodeURIComponent(JSON.stringify(found)));
});
</script></body>"#;

#[test]
#[cfg_attr(not(browser_here), ignore = "requires Chromium")]
fn page_fits_the_screen_and_is_readable() {
    let browser = browser::find().expect("a browser");
    let named = |name: &str| NamedRecord { name: name.into(), record: records::full() };
    let mut odd = named("odd.json");
    odd.record.header.machine.cpu = "averylongnamewithoutanyspaces".repeat(20);
    odd.record.header.command = "rife-bench ".to_owned() + &"--very-long-flag=".repeat(30);
    let page = page::render(&[named("record.json"), odd]);
    // Kept for inspection by people.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html");
    std::fs::write(kept, &page).expect("written");
    let folder = tempfile::tempdir().expect("a folder");
    let inspected = folder.path().join("page.html");
    let page = page.replace("</body>", INSPECT).replace('&', "&amp;").replace('"', "&quot;");
    for (width, height) in [(390, 844), (1280, 800)] {
        for (dark, scheme) in [(true, 0), (false, 1)] {
            // Unlike windows, frames have no minimum width.
            let around = format!(
                "<!doctype html><meta name=\"color-scheme\" content=\"light dark\"><body><iframe \
                 width=\"{width}\" height=\"{height}\" frameborder=\"0\" srcdoc=\"{page}\">"
            );
            std::fs::write(&inspected, around).expect("written");
            let found = inspect(&browser, &inspected, scheme);
            let number = |key: &str| found[key].as_f64().expect("a number");
            assert_eq!(number("width"), f64::from(width), "{found}");
            assert!(number("scroll") <= number("width"), "{found}");
            assert!(number("svgs") > 10.0 && number("images") >= 6.0, "{found}");
            for none in ["empty", "broken", "nameless", "twice"] {
                assert_eq!(number(none), 0.0, "{none}: {found}");
            }
            assert!(number("contrast") >= 4.5, "{found}");
            assert_eq!(number("ink") > 0.5, dark, "{found}");
            for nothing in ["pale", "fetched"] {
                assert_eq!(found[nothing], Value::Array(vec![]), "{found}");
            }
        }
    }
}

fn inspect(browser: &Path, page: &Path, scheme: u32) -> Value {
    let profile = tempfile::tempdir().expect("a folder");
    let out = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--window-size=1400,1000")
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser runs");
    let log = String::from_utf8_lossy(&out.stderr);
    assert!(!log.contains("CONSOLE"), "{log}");
    let dom = String::from_utf8_lossy(&out.stdout);
    let found = dom.split("data-found=\"").nth(1).and_then(|rest| rest.split('"').next());
    let found = found.unwrap_or_else(|| panic!("nothing was found: {log}\n{}", dom.len()));
    serde_json::from_str(&decoded(found)).expect("JSON")
}

/// Decodes `encodeURIComponent` of ASCII.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        out.push(u8::from_str_radix(code, 16).expect("hex").into());
        out.push_str(rest);
    }
    out
}
